-- KEYS: the turns. ARGV: the first number, or -1 for the last turn only; the most turns.
-- Returns the number of the first, and the rows.
local last = redis.call('HGET', KEYS[1], 'last')
if not last then
  return {'0'}
end
local first = tonumber(ARGV[1])
if first < 0 then
  first = tonumber(last)
end
first = math.max(first, tonumber(redis.call('HGET', KEYS[1], 'first')))
local found = {string.format('%.0f', first)}
for number = first, math.min(tonumber(last), first + tonumber(ARGV[2]) - 1) do
  found[#found + 1] = redis.call('HGET', KEYS[1], string.format('%.0f', number))
end
return found
