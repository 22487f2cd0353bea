/** Finds the code that a configuration names: policies that come with the gateway, and what its own modules export. */
import type { PolicyMakerEnv } from '../compile/policies.ts';
import type { OwnModule, PolicyDefinition } from '../contract.ts';

export function codeFrom(
  builtin: ReadonlyMap<string, PolicyDefinition>,
  modules: ReadonlyMap<string, OwnModule>,
): Pick<PolicyMakerEnv, 'definitionOf' | 'functionIn'> {
  return {
    definitionOf({ name, module }) {
      const definition = module === null ? builtin.get(name) : modules.get(module);
      if (definition === undefined || typeof definition === 'function') throw new Error('there is no such policy');
      return definition;
    },
    functionIn(path) {
      const exported = modules.get(path);
      if (typeof exported !== 'function') throw new Error(`${path}: it exports no function`);
      return exported;
    },
  };
}
