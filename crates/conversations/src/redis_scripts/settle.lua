-- KEYS: the turns. ARGV: number, id of the turn, open (one byte), body.
local row = redis.call('HGET', KEYS[1], ARGV[1])
if not row or string.sub(row, 1, 16) ~= ARGV[2] then
  return 0
end
if string.byte(row, 33) == 0 and string.sub(row, 59) ~= ARGV[4] then
  return 0
end
redis.call('HSET', KEYS[1], ARGV[1], string.sub(row, 1, 32) .. ARGV[3] .. string.sub(row, 34, 58) .. ARGV[4])
return 1
