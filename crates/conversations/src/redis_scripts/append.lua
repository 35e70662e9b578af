-- KEYS: the turns, the message. ARGV: conversation, number, the turn before or nothing, row, time, person or nothing.
local known = redis.call('GET', KEYS[2])
if known then
  local row = redis.call('HGET', 'botops:turns:' .. string.sub(known, 1, 32), string.sub(known, 34))
  if row then
    return {1, known, row}
  end
end
local last = redis.call('HGET', KEYS[1], 'last')
local last_row = last and redis.call('HGET', KEYS[1], last)
local fits
if ARGV[3] == '' then
  fits = not last
else
  fits = last and tonumber(last) + 1 == tonumber(ARGV[2]) and string.sub(last_row, 1, 16) == ARGV[3]
end
if not fits then
  return {2, last and ARGV[1] .. ':' .. last, last_row}
end
redis.call('HSET', KEYS[1], ARGV[2], ARGV[4], 'last', ARGV[2])
redis.call('SET', KEYS[2], ARGV[1] .. ':' .. ARGV[2])
redis.call('ZADD', 'botops:recent', ARGV[5], ARGV[1])
if not last then
  redis.call('HSET', KEYS[1], 'first', ARGV[2])
  redis.call('ZADD', 'botops:first', ARGV[5], ARGV[1])
end
if ARGV[6] ~= '' then
  redis.call('HSET', KEYS[1], 'p:' .. ARGV[6], '')
  redis.call('SADD', 'botops:person:' .. ARGV[6], ARGV[1])
end
return {0, false, false}
