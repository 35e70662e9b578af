-- ARGV: the time before which turns are erased, the most turns. Returns their number.
local before, most, n = tonumber(ARGV[1]), tonumber(ARGV[2]), 0
local function at(row)
  return (struct.unpack('>i8', string.sub(row, 34, 41)))
end
local names = redis.call('ZRANGE', 'botops:first', '-inf', '(' .. ARGV[1], 'BYSCORE', 'LIMIT', 0, most)
for _, name in ipairs(names) do
  local turns = 'botops:turns:' .. name
  local ends = redis.call('HMGET', turns, 'first', 'last')
  local number, last = tonumber(ends[1]), tonumber(ends[2])
  local row
  while number <= last and n < most do
    row = redis.call('HGET', turns, string.format('%.0f', number))
    if at(row) >= before then
      break
    end
    redis.call('HDEL', turns, string.format('%.0f', number))
    redis.call('DEL', 'botops:message:' .. string.sub(row, 17, 32))
    number, n = number + 1, n + 1
  end
  if number > last then
    for _, field in ipairs(redis.call('HKEYS', turns)) do
      if string.sub(field, 1, 2) == 'p:' then
        redis.call('SREM', 'botops:person:' .. string.sub(field, 3), name)
      end
    end
    redis.call('DEL', turns)
    redis.call('ZREM', 'botops:recent', name)
    redis.call('ZREM', 'botops:first', name)
  else
    row = redis.call('HGET', turns, string.format('%.0f', number))
    redis.call('HSET', turns, 'first', string.format('%.0f', number))
    redis.call('ZADD', 'botops:first', string.format('%.0f', at(row)), name)
  end
end
return n
