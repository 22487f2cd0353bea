/** `gatewright schema`: the JSON Schema of the configuration, for editors. */
import { configJsonSchema } from '../config/json-schema.ts';
import { builtinPolicies } from '../policies/index.ts';
import { type CommandIo, exitCodes } from './cli-io.ts';

/** Prints the schema on standard output. @returns the exit code, 0. */
export async function runSchema(io: Pick<CommandIo, 'stdout'>): Promise<number> {
  const policies = await builtinPolicies.load(builtinPolicies.names);
  io.stdout.write(`${JSON.stringify(configJsonSchema([...policies.values()]), null, 2)}\n`);
  return exitCodes.fine;
}
