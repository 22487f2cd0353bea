/** What the shop sells: `GET /products`, `GET /products?tag=tea`, `GET /products/{id}`. */
import { type Answer, type Call, notFound } from './json-service.ts';

interface Product {
  readonly id: number;
  readonly name: string;
  /** In cents. */
  readonly price: number;
  readonly stock: number;
  readonly tags: readonly string[];
  readonly description: string;
}

const products: readonly Product[] = [
  {
    id: 1,
    name: 'Sencha, 100 g',
    price: 1290,
    stock: 42,
    tags: ['tea', 'green'],
    description: 'First harvest, steamed, from Shizuoka. Grassy and sweet.',
  },
  {
    id: 2,
    name: 'Darjeeling first flush, 100 g',
    price: 1850,
    stock: 17,
    tags: ['tea', 'black'],
    description: 'Light and flowery, picked in March above 1,800 metres.',
  },
  {
    id: 3,
    name: 'Gunpowder, 250 g',
    price: 990,
    stock: 120,
    tags: ['tea', 'green'],
    description: 'Rolled leaves with a hint of smoke. The base of mint tea.',
  },
  {
    id: 4,
    name: 'Oolong Tie Guan Yin, 50 g',
    price: 1640,
    stock: 8,
    tags: ['tea', 'oolong'],
    description: 'Half fermented, roasted over charcoal. Good for seven infusions.',
  },
  {
    id: 5,
    name: 'Rooibos, 250 g',
    price: 750,
    stock: 64,
    tags: ['infusion'],
    description: 'No caffeine. From the Cederberg mountains.',
  },
  {
    id: 6,
    name: 'Kyusu, 300 ml',
    price: 5400,
    stock: 3,
    tags: ['pot', 'ceramic'],
    description: 'A teapot of red clay with a side handle and a built-in strainer.',
  },
  {
    id: 7,
    name: 'Gaiwan, 120 ml',
    price: 2200,
    stock: 11,
    tags: ['pot', 'porcelain'],
    description: 'A lidded bowl of white porcelain, with saucer.',
  },
  {
    id: 8,
    name: 'Bamboo whisk',
    price: 1950,
    stock: 26,
    tags: ['matcha'],
    description: 'Cut by hand from one piece, 80 tines.',
  },
];

export function catalogService({ method, path, query }: Call): Answer {
  if (path[0] !== 'products' || path.length > 2) return notFound;
  if (method !== 'GET' && method !== 'HEAD') return { status: 405, body: { error: 'read only' } };
  if (path[1] === undefined) {
    const tag = query.get('tag');
    const chosen = tag === null ? products : products.filter((product) => product.tags.includes(tag));
    return { body: { products: chosen, total: chosen.length } };
  }
  const product = products.find(({ id }) => String(id) === path[1]);
  return product === undefined ? notFound : { body: product };
}
