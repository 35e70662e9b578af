-- ARGV: the time of the last turn and the name to begin after, or nothing; the most conversations.
-- Returns for each: its name, the number of turns, the first row, the last row.
local most, names = tonumber(ARGV[3]), {}
local high = '+inf'
if ARGV[2] ~= '' then
  high = '(' .. ARGV[1]
  local same = redis.call('ZRANGE', 'botops:recent', ARGV[1], ARGV[1], 'BYSCORE', 'REV')
  for _, name in ipairs(same) do
    if name < ARGV[2] and #names < most then
      names[#names + 1] = name
    end
  end
end
if #names < most then
  local older = redis.call('ZRANGE', 'botops:recent', high, '-inf', 'BYSCORE', 'REV', 'LIMIT', 0, most - #names)
  for _, name in ipairs(older) do
    names[#names + 1] = name
  end
end
local found = {}
for _, name in ipairs(names) do
  local key = 'botops:turns:' .. name
  local ends = redis.call('HMGET', key, 'first', 'last')
  local rows = redis.call('HMGET', key, ends[1], ends[2])
  found[#found + 1] = {name, tostring(ends[2] - ends[1] + 1), rows[1], rows[2]}
end
return found
