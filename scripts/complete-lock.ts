/**
 * Completes `package-lock.json` with the platform packages of other machines.
 *
 * Tools with a native part name one optional dependency per platform. npm writes only those into the lock that the
 * registry offered when the lock was made; a mirror often carries a few platforms only, and `npm ci` then refuses the
 * lock as out of date, here and everywhere else. What is missing is known without a registry: the version stands in
 * the parent's `optionalDependencies` and the platform in the name. The entries have no `integrity`, because nobody
 * here has seen the files; npm fetches such a package only on the platform that it is for.
 *
 * `node scripts/complete-lock.ts` after each `npm install`; with `--check` it only reports and exits 1.
 */
import { readFileSync, writeFileSync } from 'node:fs';

export interface LockedPackage {
  version?: string;
  os?: string[];
  cpu?: string[];
  libc?: string[];
  dev?: boolean;
  optional?: boolean;
  optionalDependencies?: Record<string, string>;
  [other: string]: unknown;
}

export type LockedPackages = Record<string, LockedPackage>;

const systems = ['aix', 'android', 'darwin', 'freebsd', 'linux', 'netbsd', 'openbsd', 'openharmony', 'sunos', 'win32'];
const processors = ['arm64', 'ia32', 'loong64', 'mips64el', 'ppc64', 'riscv64', 's390x', 'x64'];

/** The `os`, `cpu` and `libc` that the name of a platform package speaks of. */
export function platformOf(name: string): Pick<LockedPackage, 'os' | 'cpu' | 'libc'> {
  const words = name.split(/[/-]/);
  const os = words.find((word) => systems.includes(word));
  // 32-bit ARM is spelled `arm-eabi`, `arm-gnueabihf` or `arm-musleabihf`.
  const cpu = words.find((word) => processors.includes(word) || word === 'arm');
  const libc = words.some((word) => word.startsWith('musl')) ? 'musl' : words.includes('gnu') ? 'glibc' : undefined;
  return { ...(os && { os: [os] }), ...(cpu && { cpu: [cpu] }), ...(os === 'linux' && libc && { libc: [libc] }) };
}

/**
 * The entries that optional dependencies of locked packages lack, by their key in `packages`. Their own keys stand in
 * the order in which npm writes them, so that its next run changes nothing.
 * @throws {Error} if a dependency is named by a range: what its version is, only a registry could tell.
 */
export function missingEntries(packages: LockedPackages): LockedPackages {
  const missing: LockedPackages = {};
  for (const [path, parent] of Object.entries(packages)) {
    for (const [name, range] of Object.entries(parent.optionalDependencies ?? {})) {
      if (`node_modules/${name}` in packages || `${path}/node_modules/${name}` in packages) continue;
      if (!/^\d+\.\d+\.\d+/.test(range)) throw new Error(`${name}: the lock needs an exact version, not ${range}`);
      const { cpu, libc, os } = platformOf(name);
      missing[`node_modules/${name}`] = {
        version: range,
        ...(cpu && { cpu }),
        ...(parent.dev && { dev: true }),
        ...(libc && { libc }),
        optional: true,
        ...(os && { os }),
      };
    }
  }
  return missing;
}

function main(): void {
  const file = new URL('../package-lock.json', import.meta.url);
  const lock = JSON.parse(readFileSync(file, 'utf8')) as { packages: LockedPackages };
  const missing = missingEntries(lock.packages);
  const names = Object.keys(missing);
  if (names.length === 0) return;
  if (process.argv.includes('--check')) {
    console.error(`package-lock.json lacks ${names.length} platform packages; run: node scripts/complete-lock.ts`);
    process.exitCode = 1;
    return;
  }
  const all = { ...lock.packages, ...missing };
  lock.packages = Object.fromEntries(Object.entries(all).toSorted(([a], [b]) => a.localeCompare(b, 'en')));
  writeFileSync(file, JSON.stringify(lock, null, 2) + '\n');
  console.log(`package-lock.json: added ${names.length} platform packages`);
}

if (import.meta.main) main();
