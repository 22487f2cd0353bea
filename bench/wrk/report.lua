-- Prints the result of a run as one line of JSON. Durations are microseconds, as wrk gives them.
function done(summary, latency, requests)
  local errors = summary.errors
  io.write(string.format(
    'WRK-RESULT {"requests":%d,"bytes":%.0f,"durationMicros":%d,"p50Micros":%d,"p99Micros":%d,' ..
      '"badStatuses":%d,"connectErrors":%d,"readErrors":%d,"writeErrors":%d,"timeouts":%d}\n',
    summary.requests, summary.bytes, summary.duration, latency:percentile(50), latency:percentile(99),
    errors.status, errors.connect, errors.read, errors.write, errors.timeout
  ))
end
