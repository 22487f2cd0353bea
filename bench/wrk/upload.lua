-- The same POST with a body of the given size again and again; wrk formats it once.
dofile(os.getenv('BENCH_WRK_SCRIPTS') .. '/report.lua')

function init(args)
  wrk.method = 'POST'
  wrk.headers['Content-Type'] = 'application/octet-stream'
  wrk.body = string.rep('x', tonumber(args[1]))
end
