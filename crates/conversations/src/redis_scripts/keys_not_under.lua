-- ARGV: id of a data key, the most keys. Returns for each that another wraps: conversation and person, and the key.
local most, found = tonumber(ARGV[2]), {}
for _, key_id in ipairs(redis.call('SMEMBERS', 'botops:key_ids')) do
  local wrapped = 'botops:wrapped:' .. key_id
  if redis.call('EXISTS', wrapped) == 0 then
    redis.call('SREM', 'botops:key_ids', key_id)
  elseif key_id ~= ARGV[1] and #found < most then
    for _, member in ipairs(redis.call('SRANDMEMBER', wrapped, most - #found)) do
      local kept = redis.call('HGET', 'botops:keys:' .. string.sub(member, 1, 32), string.sub(member, 34))
      found[#found + 1] = {member, kept}
    end
  end
end
return found
