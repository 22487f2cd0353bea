/**
 * The one script that all decisions of limits in Redis or Valkey are made by: many of them with one command, each in one
 * atomic step. It is the same arithmetic as in `util/rate`, on whole microseconds of the server's clock: Lua has doubles, and
 * all that is kept is whole and below 2⁵³. Where an interval is no whole number of microseconds, what is over is kept as
 * a number of parts, of which `limit` are one microsecond; so nothing is ever rounded.
 *
 *     KEYS      of each decision its key
 *     ARGV[1]   a character for each decision: which of the operations that follow it is, from `!` on
 *     ARGV      the operations, eight arguments each: the letter of what is to be done, and its numbers
 *     answer    the time of the server in microseconds, then of each decision its numbers (see `LimitOperation`)
 *
 * What is charged comes first in each answer: all of it, or 0; of a lease as much as there is.
 *
 * A key may owe more than the limit: what was used beyond its charge is charged whatever is left.
 *
 * Everything that is kept ends by itself (`PX`). What is no value of ours is as good as none. A time that is further ahead than it can
 * be was written before the server's clock was put back; it counts as the furthest that can be, and that is kept,
 * since otherwise the key would be refused until the clock has caught up.
 */

/** How the server's time comes into the script; a test has a clock of its own instead. */
export const serverTime = "redis.call('TIME')";

export const limitScript = `
local time = ${serverTime}
local now = tonumber(time[1]) * 1000000 + tonumber(time[2])
local floor, min, max, format = math.floor, math.min, math.max, string.format
local call, pcall_ = redis.call, redis.pcall
local out, size = {now}, 1

local function put(first, second, third)
  out[size + 1], out[size + 2], out[size + 3] = first, second, third
  size = size + 3
end

local function read(key)
  local value = pcall_('GET', key)
  return type(value) == 'string' and value or nil
end

-- Two numbers as they are kept; of the second nothing where it is 0.
local function pair(key)
  local value = read(key)
  if not value then return nil end
  local at = string.find(value, ':', 1, true)
  if not at then return tonumber(value), 0 end
  local first, second = tonumber(string.sub(value, 1, at - 1)), tonumber(string.sub(value, at + 1))
  if not first or not second then return nil end
  return first, second
end

local function keep(key, first, second, forUs)
  local value = format('%.0f', first)
  if second ~= 0 then value = value .. ':' .. format('%.0f', second) end
  call('SET', key, value, 'PX', format('%.0f', max(1, floor(forUs / 1000) + 1)))
end

local function isMore(us, part, thanUs, thanPart)
  return us > thanUs or (us == thanUs and part > thanPart)
end

-- What is to be paid off, and whether it is less than was written.
local function debtOf(key, mostUs, mostPart)
  local at, part = pair(key)
  if not at or at < now then return 0, 0, false end
  local us = at - now
  if isMore(us, part, mostUs, mostPart) then return mostUs, mostPart, true end
  return us, part, false
end

local function times(count, us, part, limit)
  local parts = count * part
  local whole = floor(parts / limit)
  return count * us + whole, parts - whole * limit
end

local function plus(us, part, moreUs, morePart, limit)
  us, part = us + moreUs, part + morePart
  if part >= limit then return us + 1, part - limit end
  return us, part
end

local decide = {}

-- limit, most (microseconds, parts), cost (microseconds, parts, permits), how much further it can be owed (microseconds)
function decide.g(key, o)
  local limit, mostUs, mostPart = o[1], o[2], o[3]
  local us, part, isCut = debtOf(key, mostUs + o[7], mostPart)
  local nextUs, nextPart = plus(us, part, o[4], o[5], limit)
  local isAllowed = not isMore(nextUs, nextPart, mostUs, mostPart)
  if isAllowed then us, part = nextUs, nextPart end
  if isCut or (isAllowed and o[6] > 0) then keep(key, now + us, part, us) end
  put(isAllowed and o[6] or 0, us, part)
end

-- limit, most (microseconds, parts), interval (microseconds, parts), permits wanted, how much further it can be owed
function decide.l(key, o)
  local limit, mostUs, mostPart = o[1], o[2], o[3]
  local us, part, isCut = debtOf(key, mostUs + o[7], mostPart)
  local left = mostUs - us + (mostPart - part) / limit
  local count = min(o[6], floor(left / (o[4] + o[5] / limit)) + 1)
  local nextUs, nextPart = us, part
  while count > 0 do
    local moreUs, morePart = times(count, o[4], o[5], limit)
    nextUs, nextPart = plus(us, part, moreUs, morePart, limit)
    if not isMore(nextUs, nextPart, mostUs, mostPart) then break end
    count = count - 1
  end
  if count > 0 then us, part = nextUs, nextPart end
  if isCut or count > 0 then keep(key, now + us, part, us) end
  put(max(0, count), us, part)
end

-- limit, what to give back (microseconds, parts), when time has paid off the charge (microseconds, parts), what was kept when
-- it was made; -1 where somebody else can have left the same
function decide.G(key, o)
  local at, part = pair(key)
  if at then
    local limit, us, lessPart = o[1], o[2], o[3]
    local leftUs, leftPart = o[4] - now, o[5]
    if at ~= o[6] and isMore(us, lessPart, leftUs, leftPart) then us, lessPart = leftUs, leftPart end
    if us > 0 or (us == 0 and lessPart > 0) then
      at, part = at - us, part - lessPart
      if part < 0 then at, part = at - 1, part + limit end
      if at < now then call('DEL', key) else keep(key, at, part, at - now) end
    end
  end
  put(0, 0, 0)
end

-- limit, most that can be owed (microseconds, parts), cost (microseconds, parts)
function decide.d(key, o)
  local limit, mostUs, mostPart = o[1], o[2], o[3]
  local us, part = debtOf(key, mostUs, mostPart)
  us, part = plus(us, part, o[4], o[5], limit)
  if isMore(us, part, mostUs, mostPart) then us, part = mostUs, mostPart end
  keep(key, now + us, part, us)
  put(0, 0, 0)
end

-- limit, window, cost, whether less is welcome
function decide.f(key, o)
  local limit, window, cost = o[1], o[2], o[3]
  local ends, count = pair(key)
  local isCut = false
  if not ends or ends <= now then
    ends, count = now + window, 0
  elseif ends > now + window then
    ends, isCut = now + window, true
  end
  if o[4] == 1 then cost = max(0, min(cost, limit - count)) end
  local isAllowed = count + cost <= limit
  if isAllowed then count = count + cost end
  if isCut or (isAllowed and cost > 0) then keep(key, ends, count, ends - now) end
  put(isAllowed and cost or 0, count, ends - now)
end

-- window, cost
function decide.w(key, o)
  local ends, count = pair(key)
  if not ends or ends <= now then ends, count = now + o[1], 0 end
  ends = min(ends, now + o[1])
  keep(key, ends, count + o[2], ends - now)
  put(0, 0, 0)
end

-- what to give back, the end of the window
function decide.F(key, o)
  local ends, count = pair(key)
  if ends and ends == o[2] and ends > now then keep(key, ends, max(0, count - o[1]), ends - now) end
  put(0, 0, 0)
end

-- limit, cost, whether less is welcome, begin and end of the period, what it is kept for beyond it
function decide.c(key, o)
  local limit, cost, begins = o[1], o[2], o[4]
  local period, count = pair(key)
  if not period or period < begins then period, count = begins, 0 end
  if o[3] == 1 then cost = max(0, min(cost, limit - count)) end
  local isAllowed = count + cost <= limit
  if isAllowed then count = count + cost end
  if isAllowed and cost > 0 then keep(key, period, count, max(0, o[5] * 1000 - now) + o[6] * 1000) end
  put(isAllowed and cost or 0, count, period)
end

-- cost, begin and end of the period, what it is kept for beyond it
function decide.p(key, o)
  local period, count = pair(key)
  if not period or period < o[2] then period, count = o[2], 0 end
  keep(key, period, count + o[1], max(0, o[3] * 1000 - now) + o[4] * 1000)
  put(0, 0, 0)
end

-- what to give back, the begin of the period
function decide.C(key, o)
  local period, count = pair(key)
  if period and period == o[2] then
    local leftMs = call('PTTL', key)
    if leftMs > 0 then keep(key, period, max(0, count - o[1]), leftMs * 1000) end
  end
  put(0, 0, 0)
end

local most = 48

local function logOf(key, window)
  local value = read(key)
  local isLog, log = false, nil
  if value then isLog, log = pcall(cmsgpack.unpack, value) end
  local kept, count, isCut = {}, 0, false
  if not isLog or type(log) ~= 'table' then return kept, 0, false end
  for i = 1, min(#log - 1, most), 2 do
    local at, some = tonumber(log[i]), tonumber(log[i + 1])
    if at and some and at > now - window then
      if at > now then at, isCut = now, true end
      kept[#kept + 1], kept[#kept + 2] = at, some
      count = count + some
    end
  end
  return kept, count, isCut
end

local function mergeCheapest(log)
  local cheapest, least = 1, math.huge
  for i = 1, #log - 3, 2 do
    local loss = log[i + 1] * (log[i + 2] - log[i])
    if loss < least then cheapest, least = i, loss end
  end
  log[cheapest + 3] = log[cheapest + 3] + log[cheapest + 1]
  table.remove(log, cheapest)
  table.remove(log, cheapest)
end

local function keepLog(key, log, window)
  local forUs = log[#log - 1] + window - now
  call('SET', key, cmsgpack.pack(log), 'PX', format('%.0f', max(1, floor(forUs / 1000) + 1)))
end

local function note(log, cost)
  if #log > 0 and log[#log - 1] >= now then
    log[#log] = log[#log] + cost
  else
    if #log >= most then mergeCheapest(log) end
    log[#log + 1], log[#log + 2] = now, cost
  end
end

-- How long until so many have left the window.
local function freeIn(log, window, needed)
  local freed = 0
  for i = 1, #log, 2 do
    freed = freed + log[i + 1]
    if freed >= needed then return log[i] + window - now end
  end
  return window
end

-- limit, window, cost, whether less is welcome
function decide.s(key, o)
  local limit, window, cost = o[1], o[2], o[3]
  local log, count, isCut = logOf(key, window)
  local wanted = cost
  if o[4] == 1 then cost = max(0, min(cost, limit - count)) end
  local isAllowed = count + cost <= limit
  if isAllowed and cost > 0 then
    count = count + cost
    note(log, cost)
  end
  if isCut or (isAllowed and cost > 0) then keepLog(key, log, window) end
  local more, reset, retry = 0, 0, 0
  if count > 0 then more, reset = log[1] + window - now, log[#log - 1] + window - now end
  if count > limit then more = freeIn(log, window, count - limit + 1) end
  if (not isAllowed or cost < wanted) and wanted <= limit then
    retry = freeIn(log, window, o[4] == 1 and max(1, count - limit + 1) or count + cost - limit)
  end
  put(isAllowed and cost or 0, count, more)
  put(reset, retry, 0)
end

-- window, cost
function decide.n(key, o)
  local log = logOf(key, o[1])
  note(log, o[2])
  keepLog(key, log, o[1])
  put(0, 0, 0)
end

-- window, what to give back, the time of what was noted: once that has left the window, what stands there is somebody else's
function decide.S(key, o)
  local log = o[3] > now - o[1] and logOf(key, o[1]) or {}
  for i = 1, #log, 2 do
    if log[i] >= o[3] then
      log[i + 1] = log[i + 1] - min(o[2], log[i + 1])
      keepLog(key, log, o[1])
      break
    end
  end
  put(0, 0, 0)
end

local operations, codes = {}, ARGV[1]
for i = 1, #KEYS do
  local code = string.byte(codes, i) - 33
  local operation = operations[code]
  if not operation then
    local at = 2 + 8 * code
    operation = {}
    for j = 1, 7 do operation[j] = tonumber(ARGV[at + j]) end
    operation.decide = decide[ARGV[at]]
    operations[code] = operation
  end
  operation.decide(KEYS[i], operation)
end
return out
`;
