/**
 * What is done inside Redis, as Lua: each call is one script over the keys of one log, so that it happens
 * completely or not at all, and one server of a cluster can do it alone.
 *
 * KEYS[1] meta, a hash: epoch, head, start (offset before the oldest kept), bytes, time (of the last append), oldest
 *         (time of the oldest kept), until (when it expires), server (which Redis process the log was last vouched
 *         for by), and for each engine `w:<instance>` its last append, "number offset".
 * KEYS[2] events, a stream: one entry for each batch, its id the offset of its last event, so that XRANGE from an
 *         offset begins with the batch that holds it. Fields: n events, t time, d data.
 * KEYS[3] keys, a sorted set: each key by the offset of its batch.
 * KEYS[4] packs, a stream like KEYS[2] of what came before it: the batches of a log at rest, many in one entry.
 */

/** Of each event beside its data; the same as in the other engines. */
const overheadBytes = 100

/**
 * The log as it is, and whether this engine may go on with its epoch. A Redis that was restarted or failed over to
 * may have lost the end of a log: offsets would be given out twice. Whoever has seen the log says how far; where that
 * is not reached, or nobody can say, the epoch is a new one, and every reader is told to begin again.
 */
const known = `
local meta = redis.call('HMGET', KEYS[1], 'epoch', 'head', 'start', 'bytes', 'time', 'oldest', 'until', 'server')
local epoch, head, start = meta[1], tonumber(meta[2]), tonumber(meta[3])
local function vouch(server, seenEpoch, seen, fresh)
  local lost = seenEpoch == epoch and head < seen
  local unknown = meta[8] ~= server and seenEpoch ~= epoch and head > 0
  if lost or unknown then
    epoch = fresh
    redis.call('HSET', KEYS[1], 'epoch', epoch, 'server', server)
    redis.call('SPUBLISH', ARGV[1], 0)
  elseif meta[8] ~= server then
    redis.call('HSET', KEYS[1], 'server', server)
  end
end
`

const entries = `
local function lastOf(entry)
  return tonumber(string.match(entry[1], '^%d+'))
end
local function sizeOf(stream, entry)
  return #entry[2][6] + ${overheadBytes} * (stream == KEYS[4] and 1 or entry[2][2])
end
`

/**
 * ARGV: bell, server, epoch seen, offset seen, fresh epoch, instance, number, epoch asked for, key, unless, events kept,
 * bytes kept, age kept, count, data. Answers status, epoch, head, start, time.
 */
export const append = `${known}${entries}
local number, wanted, key, unless = ARGV[7], ARGV[8], ARGV[9], ARGV[10]
local countMax, sizeMax, age = tonumber(ARGV[11]), tonumber(ARGV[12]), tonumber(ARGV[13])
local count, data = tonumber(ARGV[14]), ARGV[15]
local clock = redis.call('TIME')
local now = clock[1] * 1000 + math.floor(clock[2] / 1000)
local bytes, time, oldest, expires = 0, now, now, 0

if epoch then
  local last = redis.call('HGET', KEYS[1], 'w:' .. ARGV[6])
  local done, at = string.match(last or '', '^(%d+) (%d+)$')
  if done == number then
    -- What is repeated is a write again: replicas are waited for up to the last write of a connection.
    redis.call('HSET', KEYS[1], 'epoch', epoch)
    return {'done', epoch, tonumber(at), start, meta[5]}
  end
  vouch(ARGV[2], ARGV[3], tonumber(ARGV[4]), ARGV[5])
  bytes, oldest, expires = tonumber(meta[4]), tonumber(meta[6]), tonumber(meta[7])
  time = math.max(now, tonumber(meta[5]))
end
if wanted ~= '' and wanted ~= epoch then
  -- Redis let the log go without a word; whoever reads it elsewhere is told by its writer.
  if not epoch then redis.call('SPUBLISH', ARGV[1], 0) end
  return {'position_foreign'}
end
if epoch then
  local used = key ~= '' and redis.call('ZSCORE', KEYS[3], key)
  if used then return {'duplicate', epoch, tonumber(used), start, time} end
  if unless ~= '' and redis.call('ZSCORE', KEYS[3], unless) then return {'fenced'} end
else
  epoch, head, start = ARGV[5], 0, 0
  -- Before anything else, because Redis at its limit refuses a script only until it has written.
  redis.call('HSET', KEYS[1], 'epoch', epoch)
  -- Of a log that Redis let go in part, the rest; and to its readers the heads of this one would be nothing new.
  redis.call('DEL', KEYS[2], KEYS[3], KEYS[4])
  redis.call('SPUBLISH', ARGV[1], 0)
end

if count > 0 then
  if head == start then oldest = time end
  head = head + count
  bytes = bytes + #data + ${overheadBytes} * count
  redis.call('XADD', KEYS[2], head .. '-0', 'n', count, 't', time, 'd', data)
end
if key ~= '' then redis.call('ZADD', KEYS[3], head, key) end

local function isOver(events, size, at)
  return events > countMax or size > sizeMax or at < now - age
end
-- A little more is kept than need be, so that one trim stands for many appends.
if head - start > countMax + math.min(1000, math.floor(countMax / 8)) or bytes > sizeMax * 1.125 or oldest < now - age then
  local from = start
  local isDone = false
  local function letGo(stream)
    while not isDone do
      local entries = redis.call('XRANGE', stream, (start + 1) .. '-0', '+', 'COUNT', 64)
      for _, entry in ipairs(entries) do
        local last, at = lastOf(entry), tonumber(entry[2][4])
        -- An entry goes as a whole: only where what is left is enough.
        local fits = at < now - age or bytes > sizeMax or head - last >= countMax
        if not (fits and isOver(head - start, bytes, at)) then
          oldest, isDone = at, true
          break
        end
        start, bytes = last, bytes - sizeOf(stream, entry)
      end
      if #entries < 64 then break end
    end
    if start > from then redis.call('XTRIM', stream, 'MINID', '=', (start + 1) .. '-0') end
  end
  letGo(KEYS[4])
  letGo(KEYS[2])
  if start > from then redis.call('ZREMRANGEBYSCORE', KEYS[3], '-inf', start) end
end

redis.call('HSET', KEYS[1], 'epoch', epoch, 'head', head, 'start', start, 'bytes', bytes, 'time', time, 'oldest', oldest,
  'server', ARGV[2], 'w:' .. ARGV[6], number .. ' ' .. head)
-- Not with every append: it lives a tenth longer, and is given its time again when that tenth has gone.
if expires < now + age or count == 0 then
  local life = math.ceil(age * 1.1)
  for index = 1, 4 do redis.call('PEXPIRE', KEYS[index], life) end
  redis.call('HSET', KEYS[1], 'until', now + life)
elseif count > 0 and (head == count or key ~= '') then
  for index = 2, 3 do redis.call('PEXPIREAT', KEYS[index], expires) end
end
if count > 0 then redis.call('SPUBLISH', ARGV[1], head) end
return {'done', epoch, head, start, time}
`

/** ARGV: bell, epoch, offset, events at most, bytes at most. Answers status, head, start, entries. */
export const read = `${known}${entries}
if not epoch then return {'session_not_found'} end
if epoch ~= ARGV[2] then return {'position_foreign'} end
local after, countMax, sizeMax = tonumber(ARGV[3]), tonumber(ARGV[4]), tonumber(ARGV[5])
if after > head then return {'position_ahead'} end
local from = math.max(after, start)
local found, count, size, at, isBroken = {}, 0, 0, from, false
local function isFull()
  return isBroken or count >= countMax or (size >= sizeMax and count > 0)
end
local function take(stream)
  while at < head and not isFull() do
    local some = redis.call('XRANGE', stream, (at + 1) .. '-0', '+', 'COUNT', math.min(32, countMax))
    for _, entry in ipairs(some) do
      local last = lastOf(entry)
      isBroken = count > 0 and last - entry[2][2] > at
      if isBroken then return end
      found[#found + 1] = {last, entry[2][2], entry[2][4], entry[2][6], stream == KEYS[4] and 1 or 0}
      count, size, at = count + last - at, size + #entry[2][6], last
      if isFull() then return end
    end
    if #some == 0 then return end
  end
end
take(KEYS[4])
take(KEYS[2])
-- Redis may have let events go and not the rest: what is missing is told as gone, here or by the next page.
if from < head then
  local first = found[1]
  start = math.max(start, first and math.max(from, first[1] - first[2]) or head)
end
return {'done', head, start, found}
`

/** ARGV: bell, events at most. Answers status, epoch, and the oldest entries that are not packed. */
export const unpacked = `${known}${entries}
if not epoch then return {'session_not_found'} end
local found, count = {}, 0
for _, entry in ipairs(redis.call('XRANGE', KEYS[2], '-', '+', 'COUNT', ARGV[2])) do
  count = count + entry[2][2]
  if count > tonumber(ARGV[2]) and #found > 0 then break end
  found[#found + 1] = {lastOf(entry), entry[2][2], entry[2][4], entry[2][6], 0}
end
return {'done', epoch, found}
`

/** ARGV: bell, epoch, offset of the first entry packed, of the last, count, time, pack. Answers status. */
export const compact = `${known}${entries}
if epoch ~= ARGV[2] then return {'position_foreign'} end
local oldest = redis.call('XRANGE', KEYS[2], '-', '+', 'COUNT', 1)[1]
-- Another server has done it, or retention has.
if not oldest or oldest[1] ~= ARGV[3] .. '-0' then return {'done'} end
local bytes = tonumber(meta[4]) + #ARGV[7] + ${overheadBytes}
for _, entry in ipairs(redis.call('XRANGE', KEYS[2], '-', ARGV[4] .. '-0')) do bytes = bytes - sizeOf(KEYS[2], entry) end
redis.call('XADD', KEYS[4], ARGV[4] .. '-0', 'n', ARGV[5], 't', ARGV[6], 'd', ARGV[7])
redis.call('XTRIM', KEYS[2], 'MINID', '=', (ARGV[4] + 1) .. '-0')
redis.call('PEXPIREAT', KEYS[4], meta[7])
redis.call('HSET', KEYS[1], 'bytes', bytes)
return {'done'}
`

/** ARGV: bell. Answers status, epoch, head, start. */
export const inspect = `${known}
if not epoch then return {'session_not_found'} end
return {'done', epoch, head, start}
`

/** ARGV: bell, server, epoch seen, offset seen, fresh epoch. */
export const check = `${known}
if epoch then vouch(ARGV[2], ARGV[3], tonumber(ARGV[4]), ARGV[5]) end
return {'done'}
`

/** ARGV: bell. Answers whether there was a log. */
export const remove = `
local existed = redis.call('DEL', KEYS[1], KEYS[2], KEYS[3], KEYS[4])
if existed > 0 then redis.call('SPUBLISH', ARGV[1], 0) end
return existed
`
