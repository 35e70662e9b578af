-- ARGV: conversations. Returns the numbers of turns and keys.
local n_turns, n_keys = 0, 0
for _, name in ipairs(ARGV) do
  local keys = 'botops:keys:' .. name
  local kept = redis.call('HGETALL', keys)
  for i = 1, #kept, 2 do
    local key_id = string.match(kept[i + 1], '^[^:]*:([^:]*):')
    redis.call('SREM', 'botops:wrapped:' .. key_id, name .. ':' .. kept[i])
    n_keys = n_keys + 1
  end
  redis.call('DEL', keys)
  redis.call('ZREM', 'botops:keyed', name)
  local turns = 'botops:turns:' .. name
  local fields = redis.call('HGETALL', turns)
  for i = 1, #fields, 2 do
    if string.sub(fields[i], 1, 2) == 'p:' then
      redis.call('SREM', 'botops:person:' .. string.sub(fields[i], 3), name)
    elseif fields[i] ~= 'first' and fields[i] ~= 'last' then
      redis.call('DEL', 'botops:message:' .. string.sub(fields[i + 1], 17, 32))
      n_turns = n_turns + 1
    end
  end
  redis.call('DEL', turns)
  redis.call('ZREM', 'botops:recent', name)
  redis.call('ZREM', 'botops:first', name)
end
return {n_turns, n_keys}
