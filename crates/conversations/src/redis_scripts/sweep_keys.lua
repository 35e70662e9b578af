-- ARGV: the time since which a key was not needed. Returns the number of keys erased.
local n = 0
for _, name in ipairs(redis.call('ZRANGE', 'botops:keyed', '-inf', '(' .. ARGV[1], 'BYSCORE')) do
  if redis.call('EXISTS', 'botops:turns:' .. name) == 0 then
    local keys = 'botops:keys:' .. name
    local kept = redis.call('HGETALL', keys)
    for i = 1, #kept, 2 do
      local key_id = string.match(kept[i + 1], '^[^:]*:([^:]*):')
      redis.call('SREM', 'botops:wrapped:' .. key_id, name .. ':' .. kept[i])
      n = n + 1
    end
    redis.call('DEL', keys)
    redis.call('ZREM', 'botops:keyed', name)
  end
end
return n
