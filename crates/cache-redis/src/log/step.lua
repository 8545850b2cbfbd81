-- One step of the log, which nothing comes between: whether it is still the same log, a new epoch where it is not, and one more record
-- where that is asked for.
--
-- KEYS[1]  the stream
-- KEYS[2]  the hash that says which epoch the stream belongs to, and how far it has come
-- ARGV[1]  'look', 'append', or 'begin' to end the caller's epoch
-- ARGV[2]  the epoch to begin where a new one must begin
-- ARGV[3]  the caller's epoch, or nothing
-- ARGV[4]  the highest id that the caller has seen in its epoch
-- ARGV[5]  the id that a new record has to be above
-- ARGV[6]  how many records to retain
-- ARGV[7]  what a record kills
-- ARGV[8]  everything, as what the first record of an epoch kills
-- ARGV[9]  by how many milliseconds the ids of a new epoch run ahead of the server's clock
-- ARGV[10] the last millisecond that an id may have
-- ARGV[11] the last number that an id may have within its millisecond
--
-- Returns the epoch, the id of the last record, and the server's time in milliseconds.

local stream, about = KEYS[1], KEYS[2]
local last_ms, last_seq = tonumber(ARGV[10]), tonumber(ARGV[11])

local function parse(id)
  local ms, seq = string.match(id, '^(%d+)-(%d+)$')
  return { tonumber(ms), tonumber(seq) }
end
local function text(id)
  return string.format('%.0f-%.0f', id[1], id[2])
end
local function above(a, b)
  return a[1] > b[1] or (a[1] == b[1] and a[2] > b[2])
end

local function step()
  -- Who is no primary may have lost records, and may lose those that it takes.
  local replication = redis.call('INFO', 'replication')
  if not string.find(replication, 'role:master', 1, true) then
    return redis.error_reply('READONLY the log is kept at the primary')
  end
  -- Another one after each restart and after each failover: what was acknowledged before may be missing since.
  local history = string.match(replication, 'master_replid:(%w+)')

  local time = redis.call('TIME')
  local now = tonumber(time[1]) * 1000 + math.floor(tonumber(time[2]) / 1000)

  local last
  if redis.call('EXISTS', stream) == 1 then
    local facts = redis.call('XINFO', 'STREAM', stream)
    for i = 1, #facts, 2 do
      if facts[i] == 'last-generated-id' then
        last = parse(facts[i + 1])
      end
    end
    if last[1] > last_ms or last[2] > last_seq then
      -- Somebody wrote into it by other means, under an id that is no revision.
      last = nil
    end
  end

  local known = redis.call('HMGET', about, 'epoch', 'history', 'last')
  local epoch = known[1]
  local seen, least = parse(ARGV[4]), parse(ARGV[5])
  -- Nobody else has written into the stream, and it is no older copy of itself.
  local whole = last and epoch and known[2] == history and known[3] == text(last)
  local mine = epoch and epoch == ARGV[3]
  if not whole or (mine and (ARGV[1] == 'begin' or above(seen, last))) then
    local ms = math.max(now + tonumber(ARGV[9]), math.max(seen[1], least[1], last and last[1] or 0) + 1)
    if ms > last_ms then
      return redis.error_reply('ERR the ids of the log are used up: delete ' .. stream)
    end
    epoch, last = ARGV[2], { ms, 0 }
    redis.call('DEL', stream)
    redis.call('HSET', about, 'epoch', epoch, 'history', history, 'last', text(last))
    redis.call('XADD', stream, text(last), 'e', epoch, 'p', '0-0', 'k', ARGV[8])
  end

  if ARGV[1] == 'append' then
    local floor = above(least, last) and least or last
    local id
    if now > floor[1] then
      id = { now, 0 }
    elseif floor[2] < last_seq then
      id = { floor[1], floor[2] + 1 }
    else
      id = { floor[1] + 1, 0 }
    end
    if id[1] > last_ms then
      return redis.error_reply('ERR the ids of the log are used up: delete ' .. stream)
    end
    redis.call('XADD', stream, 'MAXLEN', '~', ARGV[6], text(id), 'e', epoch, 'p', text(last), 'k', ARGV[7])
    redis.call('HSET', about, 'last', text(id))
    last = id
  end

  return { epoch, text(last), string.format('%.0f', now) }
end

local done, result = pcall(step)
if done then
  return result
end
local why = type(result) == 'table' and result.err or tostring(result)
if string.find(why, 'user executing the script', 1, true) then
  -- Inside of a script a missing right has no code of its own.
  return redis.error_reply('NOPERM ' .. why)
end
return redis.error_reply(why)
