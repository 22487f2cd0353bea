-- The same GET again and again; wrk formats it once.
dofile(os.getenv('BENCH_WRK_SCRIPTS') .. '/report.lua')
