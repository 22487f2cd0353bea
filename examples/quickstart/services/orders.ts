/**
 * Orders of the shop: `GET /orders`, `GET /orders/{id}`, `POST /orders` with `{"product": 1, "quantity": 2}`, and
 * `GET /orders/events`, a stream of server-sent events that tells how the orders fare.
 */
import type { ServerResponse } from 'node:http';
import { type Answer, type Call, notFound, textOf } from './json-service.ts';

interface Order {
  readonly id: number;
  readonly product: number;
  readonly quantity: number;
  status: 'received' | 'packed' | 'sent' | 'delivered';
}

const stages = ['received', 'packed', 'sent', 'delivered'] as const;
const eventsEveryMs = 1000;

const orders: Order[] = [
  { id: 1001, product: 2, quantity: 1, status: 'sent' },
  { id: 1002, product: 6, quantity: 1, status: 'packed' },
  { id: 1003, product: 3, quantity: 4, status: 'received' },
];

export async function ordersService({ method, path, request, response }: Call): Promise<Answer | null> {
  if (path[0] !== 'orders' || path.length > 2) return notFound;
  if (path[1] === 'events' && method === 'GET') return streamEvents(response);
  if (path[1] !== undefined) {
    const order = orders.find(({ id }) => String(id) === path[1]);
    return order === undefined ? notFound : { body: order };
  }
  if (method === 'POST') return place(await textOf(request));
  return { body: { orders, total: orders.length } };
}

function place(text: string): Answer {
  const wish = JSON.parse(text) as { product?: unknown; quantity?: unknown };
  const { product, quantity = 1 } = wish;
  if (!Number.isInteger(product) || !Number.isInteger(quantity)) {
    return { status: 400, body: { error: 'product and quantity must be whole numbers' } };
  }
  const order: Order = {
    id: 1001 + orders.length,
    product: product as number,
    quantity: quantity as number,
    status: 'received',
  };
  // A demo forgets: it keeps the last thousand orders at most.
  if (orders.length < 1000) orders.push(order);
  return { status: 201, body: order };
}

/** One event at once and then one a second, each moving some order a stage further, until the client goes away. */
function streamEvents(response: ServerResponse): null {
  response.writeHead(200, { 'content-type': 'text/event-stream', 'cache-control': 'no-store' });
  let turn = 0;
  const send = (): void => {
    const order = orders[turn % orders.length];
    if (order === undefined) return;
    order.status = stages[(stages.indexOf(order.status) + 1) % stages.length] ?? 'received';
    response.write(`id: ${turn++}\nevent: order\ndata: ${JSON.stringify(order)}\n\n`);
  };
  send();
  const timer = setInterval(send, eventsEveryMs);
  response.on('close', () => clearInterval(timer));
  return null;
}
