/**
 * Who buys: `GET /v1/users`, `GET /v1/users/{id}`. And `/v1/echo` for any method: it answers with the request as it
 * arrived here, so that what the gateway adds, removes and rewrites can be seen.
 */
import { type Answer, type Call, notFound, textOf } from './json-service.ts';

const users = [
  { id: 'ada', name: 'Ada Lovelace', city: 'London' },
  { id: 'alan', name: 'Alan Turing', city: 'Manchester' },
  { id: 'grace', name: 'Grace Hopper', city: 'New York' },
];

export async function usersService({ method, path, query, request }: Call): Promise<Answer> {
  const [version, collection, id] = path;
  if (version !== 'v1') return notFound;
  if (collection === 'echo') {
    const { url, headers } = request;
    return { body: { method, url, query: Object.fromEntries(query), headers, body: await textOf(request) } };
  }
  if (collection !== 'users' || path.length > 3) return notFound;
  if (id === undefined) return { body: { users, total: users.length } };
  const user = users.find((candidate) => candidate.id === id);
  return user === undefined ? notFound : { body: user };
}
