-- One GET for every route, in an order that is shuffled but the same in every run.
dofile(os.getenv('BENCH_WRK_SCRIPTS') .. '/report.lua')

local texts, count, at = {}, 0, 0

function init(args)
  count = tonumber(args[1])
  for i = 1, count do texts[i] = wrk.format('GET', '/service-' .. (i - 1) .. '/items') end
  math.randomseed(1)
  for i = count, 2, -1 do
    local j = math.random(i)
    texts[i], texts[j] = texts[j], texts[i]
  end
end

function request()
  at = at % count + 1
  return texts[at]
end
