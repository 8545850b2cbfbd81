-- GCRA over several buckets at once: either all of them have room and all are charged, or none is.
-- KEYS: the buckets, each once. ARGV: for each bucket its cost and its capacity in microseconds; a negative cost gives back.
-- The value of a bucket is the time at which it will be full again, by the clock of this server, which is the only clock.
-- The answer: whether it was allowed, the time, and the backlog of each bucket before.
local time = redis.call('TIME')
local now = time[1] * 1000000 + time[2]
local answer = { 1, now }
for at, key in ipairs(KEYS) do
  local cost, capacity = tonumber(ARGV[2 * at - 1]), tonumber(ARGV[2 * at])
  local backlog = (tonumber(redis.call('GET', key) or '') or now) - now
  -- Whatever a bucket holds, also after its clock was set back: it is no fuller than full, and its backlog no longer than its capacity.
  if not (backlog > 0) then backlog = 0 end
  if backlog > capacity then backlog = capacity end
  if backlog + cost > capacity then answer[1] = 0 end
  answer[at + 2] = backlog
end
if answer[1] == 1 then
  for at, key in ipairs(KEYS) do
    local backlog = answer[at + 2] + tonumber(ARGV[2 * at - 1])
    if backlog > 0 then
      -- Numbers become texts by hand: of themselves they keep fourteen digits.
      local life_ms = string.format('%.0f', math.ceil(backlog / 1000))
      redis.call('SET', key, string.format('%.0f', now + backlog), 'PX', life_ms)
    else
      redis.call('DEL', key)
    end
  end
end
return answer
