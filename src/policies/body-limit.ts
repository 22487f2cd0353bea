import { type Reply, definePolicy } from '../contract.ts';
import { z } from '../util/schema.ts';
import { size } from '../util/units.ts';

const options = z.strictObject({
  max: size().describe('The largest request body. The limit of the listener holds besides; the smaller one counts.'),
});

const TOO_LARGE: Reply = { status: 413, code: 'BODY_TOO_LARGE' };

/** Refuses large request bodies: by their announced length at once, otherwise as soon as too much has arrived. */
export const bodyLimit = definePolicy({
  name: 'bodyLimit',
  summary: 'Refuses requests whose body is larger than a limit.',
  options,
  create({ max }) {
    return {
      onRequest(exchange) {
        const announced = exchange.requestHeaders.get('content-length');
        if (announced !== undefined && !(Number(announced) <= max)) return TOO_LARGE;
        // A policy before this one may have had the body buffered already.
        if (exchange.requestBody !== null && exchange.requestBody.length > max) return TOO_LARGE;
        exchange.limitRequestBody(max);
        return undefined;
      },
    };
  },
});
