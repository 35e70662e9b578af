-- KEYS: the keys. ARGV: conversation, person, the data key before, the data key, wrapped key. Returns whether it did.
local kept = redis.call('HGET', KEYS[1], ARGV[2])
if not kept then
  return 0
end
local at, key_id = string.match(kept, '^([^:]*):([^:]*):')
if key_id ~= ARGV[3] then
  return 0
end
local member = ARGV[1] .. ':' .. ARGV[2]
redis.call('SREM', 'botops:wrapped:' .. key_id, member)
redis.call('SADD', 'botops:wrapped:' .. ARGV[4], member)
redis.call('SADD', 'botops:key_ids', ARGV[4])
redis.call('HSET', KEYS[1], ARGV[2], at .. ':' .. ARGV[4] .. ':' .. ARGV[5])
return 1
