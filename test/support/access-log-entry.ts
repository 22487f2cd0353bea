import type { AccessLogEntry } from '../../src/telemetry/access-log.ts';

/** An ordinary request that was answered by an upstream. */
export function accessLogEntry(differences: Partial<AccessLogEntry> = {}): AccessLogEntry {
  return {
    timeMs: Date.UTC(2026, 0, 31, 23, 59, 58, 7),
    requestId: '01jk-7',
    traceId: '',
    clientIp: '203.0.113.9',
    method: 'GET',
    host: 'api.example.com',
    path: '/catalog/7',
    query: 'page=2',
    route: 'catalog',
    consumer: 'mobile-app',
    upstream: 'catalog',
    target: 'http://127.0.0.1:3001',
    status: 200,
    code: '',
    reason: '',
    cache: '',
    attempts: 1,
    bytesIn: 0,
    bytesOut: 532,
    durationMs: 1.23456,
    upstreamMs: 0.5,
    protocol: 'HTTP/1.1',
    userAgent: 'curl/8.5.0',
    requestHeaders: new Map(),
    ...differences,
  };
}
