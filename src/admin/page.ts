/** What a browser gets that is pointed at the admin port. It says nothing that not everybody may know. */
export const page = `<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width">
<title>Gatewright admin</title>
<h1>Gatewright admin</h1>
<p>This is the admin port of a <strong>Gatewright</strong> API gateway. It is for operators; traffic has ports of its own.</p>
<ul>
<li><a href="/livez">/livez</a>: whether the process runs</li>
<li><a href="/readyz">/readyz</a>: whether it serves</li>
<li><a href="/metrics">/metrics</a>: what it has counted, for Prometheus</li>
<li><a href="/api/v1/status">/api/v1/status</a>: how it is</li>
<li><a href="/api/v1/openapi.json">/api/v1/openapi.json</a>: all that can be asked for</li>
</ul>
<p>If the configuration has an <code>admin.token</code>, the API and the metrics want it: <code>Authorization: Bearer …</code></p>
</html>
`;
