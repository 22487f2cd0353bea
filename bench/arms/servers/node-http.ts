/** `node:http` on both sides: a server, `http.request` with a keep-alive agent, and pipes in between. */
import { Agent, request as sendRequest } from 'node:http';
import { assignment, forwardedRequest, forwardedResponse, serve } from './serve.ts';

const agent = new Agent({ keepAlive: true, maxSockets: 256, maxFreeSockets: 256, scheduling: 'lifo' });

serve((request, response) => {
  const { headers, hasBody } = forwardedRequest(request);
  const upstreamRequest = sendRequest({
    agent,
    host: '127.0.0.1',
    port: assignment.upstreamPort,
    method: request.method,
    path: request.url,
    headers,
  });
  upstreamRequest.once('response', (upstreamResponse) => {
    response.writeHead(
      upstreamResponse.statusCode ?? 502,
      upstreamResponse.statusMessage,
      forwardedResponse(upstreamResponse.rawHeaders),
    );
    upstreamResponse.pipe(response);
    upstreamResponse.once('error', () => response.destroy());
  });
  upstreamRequest.once('error', () => {
    if (response.headersSent) response.destroy();
    else response.writeHead(502, ['Content-Length', '0']).end();
  });
  response.once('close', () => {
    if (!response.writableFinished) upstreamRequest.destroy();
  });
  if (hasBody) request.pipe(upstreamRequest);
  else upstreamRequest.end();
});
