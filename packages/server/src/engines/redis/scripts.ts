/**
 * The Lua scripts of the engine. Each call is one script over the keys of one log, so that it happens completely or not
 * at all, and one node of a cluster can run it alone.
 *
 * KEYS[1] meta, a hash:
 *         epoch, head, start (offset before the oldest event kept), bytes,
 *         time (of the last append), oldest (time of the oldest event kept), until (when the log expires),
 *         server (the Redis process in which the log was verified last),
 *         `w:<instance>` (the last group of appends of each engine: "number offset", with the answers of more than one),
 *         gone (start when the expiry was renewed last),
 *         shown (when appends wait for replicas: the offset up to which the replicas have the log).
 * KEYS[2] events, a stream: one entry per batch, whose id is the offset of its last event, so that XRANGE from an offset
 *         begins with the batch that has it. Fields: n events, t time, d data, or b data when some of it is bytes.
 * KEYS[3] keys, a sorted set: each key by the offset of its batch.
 * KEYS[4] packs, a stream of the batches before KEYS[2], after compaction: many batches in one entry, whose data is the
 *         field p and its unpacked size s; or single batches as in KEYS[2], which are too large or have bytes.
 */
import { eventOverheadBytes } from '../../log/event-size.ts'

/**
 * Reads the log's state and decides whether its epoch stays. After a restart or failover, Redis may have lost the end of
 * a log, and would assign offsets twice. So each Redis process needs a verification of the log, by an engine that was
 * notified of every append while the previous process ran. At any time, an engine that has seen a higher head, or misses
 * its own append, detects a loss. After a loss, or when no engine can verify the log, it gets a new epoch, and its
 * readers get `position_foreign`.
 *
 * ARGV[1…9]: channel, server, epoch seen, offset seen, server it was seen in by an engine notified of all (else empty),
 * instance, "number offset" of its last group of appends, fresh epoch, whether to stop waiting for an engine that can verify.
 */
const knownWith = (own: string) => `
local meta = redis.call('HMGET', KEYS[1], 'epoch', 'head', 'start', 'bytes', 'time', 'oldest', 'until', 'server', 'shown'${own})
local epoch, head, start = meta[1], tonumber(meta[2]), tonumber(meta[3])
local function visible()
  return math.max(math.min(head, tonumber(meta[9]) or head), start)
end
`
const known = knownWith('')

const verified = `${knownWith(", 'w:' .. ARGV[6]")}
local function verify(call)
  local server, seenEpoch, seen, seenServer, instance, own, fresh, force = unpack(ARGV, 2, 9)
  local last = meta[10]
  local ownNumber, ownAt = string.match(own, '^(%d+) (%d+)$')
  -- An append that retention has removed is not lost.
  local isGone = not last and start > 0 and tonumber(ownAt) <= start
  local isMissed = tonumber(string.match(last or '0', '^%d+')) < tonumber(ownNumber) and not isGone
  local isLost = seenEpoch == epoch and (head < tonumber(seen) or isMissed)
  if meta[8] == server and not isLost then return true, last end
  local isWitnessed = seenEpoch == epoch and seenServer == meta[8]
  if not isLost and not isWitnessed and force == '0' then return false, last end
  local chosen = not isLost and isWitnessed and epoch or fresh
  -- After a restart or failover every event that is left may be shown.
  local answer = call('HSET', KEYS[1], 'epoch', chosen, 'server', server, unpack(meta[9] and {'shown', head} or {}))
  if type(answer) == 'table' and answer.err then return false, last end
  meta[8], meta[9] = server, meta[9] and head
  if chosen ~= epoch then redis.call('SPUBLISH', ARGV[1], 0) end
  epoch = chosen
  return true, last
end
`

const entries = `
local function lastOf(entry)
  return tonumber(string.match(entry[1], '^%d+'))
end
local function isPacked(entry)
  return entry[2][5] == 'p'
end
local function sizeOf(entry)
  return #entry[2][6] + ${eventOverheadBytes} * (isPacked(entry) and 1 or entry[2][2])
end
`

/**
 * Appends a group of batches in their order; a batch that is rejected leaves the others as they are.
 *
 * ARGV[10…14]: number of the group, bytes kept, age kept, whether the batches are hidden until replicas have them, bytes of
 * events that the notification may carry; then of each batch: epoch wanted, key, unless, head expected or '', events to keep or
 * '', count, field of the data, data.
 * Returns status, epoch, start, time, whether the log is verified, and of each batch its status and offset.
 */
export const append = `${verified}${entries}
local number, sizeMax, age, isHidden, carriedMax = ARGV[10], tonumber(ARGV[11]), tonumber(ARGV[12]), ARGV[13] == '1', tonumber(ARGV[14])
local clock = redis.call('TIME')
local now = clock[1] * 1000 + math.floor(clock[2] / 1000)
local bytes, time, oldest, expires, shown = 0, now, now, 0, 0

if epoch then
  local isVerified, last = verify(redis.call)
  local done, at, answers = string.match(last or '', '^(%d+) (%d+) ?(.*)$')
  if done == number then
    -- Written again, because WAIT covers a connection's writes only.
    redis.call('HSET', KEYS[1], 'epoch', epoch)
    answers = answers == '' and {{'done', tonumber(at)}} or cjson.decode(answers)
    return {'done', epoch, start, meta[5], isVerified and 1 or 0, answers}
  end
  -- A later append of this engine is in the log: this one was rejected to its caller, and must not enter after it.
  if done and tonumber(done) > tonumber(number) then return {'fenced'} end
  if not isVerified then return {'unverified'} end
  bytes, oldest, expires, shown = tonumber(meta[4]), tonumber(meta[6]), tonumber(meta[7]), visible()
  time = math.max(now, tonumber(meta[5]))
end

local function trim(countMax)
  local from = start
  local isDone = false
  local function isOver(events, size, at)
    return events > countMax or size > sizeMax or at < now - age
  end
  local function trimStream(stream)
    -- Few entries at first: each may be as large as a file.
    local some = 2
    while not isDone do
      local entries = redis.call('XRANGE', stream, (start + 1) .. '-0', '+', 'COUNT', some)
      for _, entry in ipairs(entries) do
        local last, at = lastOf(entry), tonumber(entry[2][4])
        -- An entry is removed as a whole: only when the entries after it are enough.
        local fits = at < now - age or bytes > sizeMax or head - last >= countMax
        if not (fits and isOver(head - start, bytes, at)) then
          oldest, isDone = at, true
          break
        end
        start, bytes = last, bytes - sizeOf(entry)
      end
      if #entries < some then break end
      some = math.min(64, some * 2)
    end
    if start > from then redis.call('XTRIM', stream, 'MINID', '=', (start + 1) .. '-0') end
  end
  trimStream(KEYS[4])
  trimStream(KEYS[2])
  if start > from then redis.call('ZREMRANGEBYSCORE', KEYS[3], '-inf', start) end
end

local isStored, hasEmpty, hasKey, isFirst, added, addedBytes = false, false, false, false, {}, 0

local function store(wanted, key, unless, expected, keep, count, field, data)
  count = tonumber(count)
  if wanted ~= '' and wanted ~= epoch then
    -- Redis has expired or evicted the log without a notification; readers on other nodes get it now.
    if not epoch then redis.call('SPUBLISH', ARGV[1], 0) end
    return {'position_foreign'}
  end
  if epoch then
    local used = key ~= '' and redis.call('ZSCORE', KEYS[3], key)
    if used then
      -- WAIT covers a connection's writes only: without one here it would not confirm the batch.
      if isHidden or meta[9] then redis.call('HSET', KEYS[1], 'epoch', epoch) end
      return {'duplicate', tonumber(used)}
    end
    if unless ~= '' and redis.call('ZSCORE', KEYS[3], unless) then return {'fenced'} end
  end
  if expected ~= '' and tonumber(expected) ~= (epoch and head or 0) then return {'head_moved', epoch and head} end
  if not epoch then
    epoch, head, start = ARGV[8], 0, 0
    -- First, because a Redis at its memory limit rejects only the first write of a script.
    redis.call('HSET', KEYS[1], 'epoch', epoch)
    -- Removes what is left of a log that Redis evicted in part. The notification resets readers to the new, lower head.
    redis.call('DEL', KEYS[2], KEYS[3], KEYS[4])
    redis.call('SPUBLISH', ARGV[1], 0)
  end
  if count > 0 then
    if head == start then oldest = time end
    isFirst = isFirst or head == 0
    head = head + count
    bytes = bytes + #data + ${eventOverheadBytes} * count
    redis.call('XADD', KEYS[2], head .. '-0', 'n', count, 't', time, field, data)
    added[#added + 1] = data
    addedBytes = addedBytes + #data
  else
    hasEmpty = true
  end
  if key ~= '' then
    redis.call('ZADD', KEYS[3], head, key)
    hasKey = true
  end
  -- Trims only beyond an eighth more than the bound, so that many appends share a trim.
  local countMax = tonumber(keep) or math.huge
  if head - start > countMax + math.min(1000, math.floor(countMax / 8)) or bytes > sizeMax * 1.125 or oldest < now - age then
    trim(countMax)
  end
  isStored = true
  return {'done', head}
end

local answers = {}
for at = 15, #ARGV, 8 do answers[#answers + 1] = store(unpack(ARGV, at, at + 7)) end
if not isStored then return {'done', epoch or '', start or 0, time, 1, answers} end

-- A group that is sent again gets the same answers.
local own = number .. ' ' .. head .. (#answers > 1 and ' ' .. cjson.encode(answers) or '')
redis.call('HSET', KEYS[1], 'head', head, 'bytes', bytes, 'time', time, 'w:' .. ARGV[6], own)
if not meta[8] or start ~= tonumber(meta[3]) or oldest ~= tonumber(meta[6]) then
  redis.call('HSET', KEYS[1], 'start', start, 'oldest', oldest, 'server', ARGV[2])
end
if isHidden or meta[9] then redis.call('HSET', KEYS[1], 'shown', isHidden and shown or head) end
-- Not with every append: the keys live a tenth longer, and are renewed when that tenth has passed.
if expires < now + age or hasEmpty then
  local life = math.ceil(age * 1.1)
  for index = 1, 4 do redis.call('PEXPIRE', KEYS[index], life) end
  -- Otherwise every process that ever wrote would leave its field. Appends removed before the last renewal need none.
  local gone = tonumber(redis.call('HGET', KEYS[1], 'gone')) or 0
  local fields = gone > 0 and redis.call('HGETALL', KEYS[1]) or {}
  for index = 1, #fields, 2 do
    local at = string.match(fields[index], '^w:') and string.match(fields[index + 1], '^%d+ (%d+)')
    if at and tonumber(at) <= gone then redis.call('HDEL', KEYS[1], fields[index]) end
  end
  redis.call('HSET', KEYS[1], 'until', now + life, 'gone', start)
elseif isFirst or hasKey then
  for index = 2, 3 do redis.call('PEXPIREAT', KEYS[index], expires) end
end
if #added > 0 and not isHidden then
  local isSmall = addedBytes <= carriedMax
  redis.call('SPUBLISH', ARGV[1], isSmall and table.concat({head, epoch, start, time, table.concat(added, '\\n')}, ' ') or head)
end
return {'done', epoch, start, time, 1, answers}
`

/** ARGV: channel, epoch, offset up to which the replicas have the log. */
export const show = `${known}
if epoch == ARGV[2] and meta[9] and tonumber(meta[9]) < tonumber(ARGV[3]) then
  redis.call('HSET', KEYS[1], 'shown', ARGV[3])
  redis.call('SPUBLISH', ARGV[1], ARGV[3])
end
return {'done'}
`

/** ARGV: channel, server, epoch, offset, maximal events, maximal bytes. Returns status, whether the log is verified, head, start, entries. */
export const read = `${known}${entries}
if not epoch then return {'session_not_found'} end
if epoch ~= ARGV[3] then return {'position_foreign'} end
local after, countMax, sizeMax = tonumber(ARGV[4]), tonumber(ARGV[5]), tonumber(ARGV[6])
if after > head then return {'position_ahead'} end
-- A reader beyond the shown offset has read those events before a failover.
head = math.max(visible(), after)
local from = math.max(after, start)
local found, count, size, at, isBroken = {}, 0, 0, from, false
local function isFull()
  return isBroken or count >= countMax or (size >= sizeMax and count > 0)
end
local function take(stream)
  -- Few entries at first: each may be as large as a file.
  local step = 2
  while at < head and not isFull() do
    local some = redis.call('XRANGE', stream, (at + 1) .. '-0', '+', 'COUNT', math.min(step, countMax))
    step = math.min(32, step * 2)
    for _, entry in ipairs(some) do
      local last = lastOf(entry)
      isBroken = last > head or (count > 0 and last - entry[2][2] > at)
      if isBroken then return end
      found[#found + 1] = {last, entry[2][2], entry[2][4], entry[2][6], isPacked(entry) and 1 or 0}
      count, size, at = count + last - at, size + (tonumber(entry[2][8]) or #entry[2][6]), last
      if isFull() then return end
    end
    if #some == 0 then return end
  end
end
take(KEYS[4])
take(KEYS[2])
-- Redis may have evicted the events and not the other keys: missing events are a gap, in this page or the next.
if from < head then
  local first = found[1]
  start = math.max(start, first and math.max(from, first[1] - first[2]) or head)
end
return {'done', meta[8] == ARGV[2] and 1 or 0, head, start, found}
`

/**
 * ARGV: channel, maximal events, minimal events, maximal bytes. Returns status, epoch and the oldest entries to pack; or
 * `moved` after it has moved entries that cannot be packed, unchanged, to the packs.
 */
export const unpacked = `${known}${entries}
if not epoch then return {'session_not_found'} end
local countMax, countMin, sizeMax = tonumber(ARGV[2]), tonumber(ARGV[3]), tonumber(ARGV[4])
local found, count, size, from = {}, 0, 0, '-'
local function move(last)
  for _, entry in ipairs(redis.call('XRANGE', KEYS[2], '-', last)) do redis.call('XADD', KEYS[4], entry[1], unpack(entry[2])) end
  redis.call('XTRIM', KEYS[2], 'MINID', '=', (tonumber(string.match(last, '^%d+')) + 1) .. '-0')
  redis.call('PEXPIREAT', KEYS[4], meta[7])
  return {'moved'}
end
while true do
  -- A few entries at a time: each may be as large as a file.
  local some = redis.call('XRANGE', KEYS[2], from, '+', 'COUNT', 8)
  for _, entry in ipairs(some) do
    local events, bytes = tonumber(entry[2][2]), #entry[2][6]
    local isLeft = entry[2][5] == 'b' or bytes > sizeMax
    if lastOf(entry) > visible() then return {'done', epoch, found} end
    if isLeft and count < countMin then return move(entry[1]) end
    -- A pack that is still too small takes the next entry, whatever its size.
    if isLeft or (count >= countMin and (count + events > countMax or size + bytes > sizeMax)) then return {'done', epoch, found} end
    count, size, from = count + events, size + bytes, '(' .. entry[1]
    found[#found + 1] = {lastOf(entry), entry[2][2], entry[2][4], entry[2][6], 0}
  end
  if #some < 8 then return {'done', epoch, found} end
end
`

/** ARGV: channel, epoch, id of the first packed entry and of the last, count, time, pack, its unpacked size. Returns status. */
export const compact = `${known}${entries}
if epoch ~= ARGV[2] then return {'position_foreign'} end
local oldest = redis.call('XRANGE', KEYS[2], '-', '+', 'COUNT', 1)[1]
-- Another server has packed the entries, or retention has removed them.
if not oldest or oldest[1] ~= ARGV[3] .. '-0' then return {'done'} end
local bytes = tonumber(meta[4]) + #ARGV[7] + ${eventOverheadBytes}
for _, entry in ipairs(redis.call('XRANGE', KEYS[2], '-', ARGV[4] .. '-0')) do bytes = bytes - sizeOf(entry) end
redis.call('XADD', KEYS[4], ARGV[4] .. '-0', 'n', ARGV[5], 't', ARGV[6], 'p', ARGV[7], 's', ARGV[8])
redis.call('XTRIM', KEYS[2], 'MINID', '=', (ARGV[4] + 1) .. '-0')
redis.call('PEXPIREAT', KEYS[4], meta[7])
redis.call('HSET', KEYS[1], 'bytes', bytes)
return {'done'}
`

/** Returns status, epoch, head, start, whether the log is verified. */
export const inspect = `${verified}
if not epoch then return {'session_not_found'} end
-- A Redis at its memory limit rejects the write of a verification, and still answers reads.
local isVerified = verify(redis.pcall)
return {'done', epoch, visible(), start, isVerified and 1 or 0}
`

/** ARGV: channel. Returns whether there was a log. */
export const remove = `
local existed = redis.call('DEL', KEYS[1], KEYS[2], KEYS[3], KEYS[4])
if existed > 0 then redis.call('SPUBLISH', ARGV[1], 0) end
return existed
`
