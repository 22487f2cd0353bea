/**
 * The schema library, imported here and nowhere else. One declaration gives the TypeScript type, the validator, the
 * JSON Schema for editors and the reference documentation.
 */
export { z } from 'zod';
import type { z } from 'zod';

/** A schema whose parsed value is a `T`. */
export type Schema<T = unknown> = z.ZodType<T>;
