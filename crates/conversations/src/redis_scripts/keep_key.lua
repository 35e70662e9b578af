-- KEYS: the keys. ARGV: conversation, person, time, id of the data key, wrapped key. Returns the key in force.
local kept = redis.call('HGET', KEYS[1], ARGV[2])
if kept then
  kept = ARGV[3] .. string.sub(kept, string.find(kept, ':', 1, true), -1)
else
  kept = ARGV[3] .. ':' .. ARGV[4] .. ':' .. ARGV[5]
  redis.call('SADD', 'botops:wrapped:' .. ARGV[4], ARGV[1] .. ':' .. ARGV[2])
  redis.call('SADD', 'botops:key_ids', ARGV[4])
end
redis.call('HSET', KEYS[1], ARGV[2], kept)
redis.call('ZADD', 'botops:keyed', ARGV[3], ARGV[1])
return kept
