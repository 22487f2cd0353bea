/** The open file behind a log: standard output or error, a pipe, or a file of our own. */
import * as nodeFiles from 'node:fs';

/** What logs need of `node:fs`; tests bring disks that fail and readers that stop reading. */
export type LogFiles = Pick<
  typeof nodeFiles,
  'openSync' | 'open' | 'write' | 'writeSync' | 'fstatSync' | 'stat' | 'close'
>;

export type Written = (error: NodeJS.ErrnoException | null, bytes: number) => void;

/** One open file. Writing never blocks the thread. */
export interface LogOutput {
  /** Writes some of the bytes from `offset` on, and says how many: at once or later. `EAGAIN`: none fit at present. */
  write(bytes: Buffer, offset: number, done: Written): void;
  /** Tells whether the name that was opened has come to mean another file, or none. */
  checkMoved(done: (hasMoved: boolean) => void): void;
  close(): void;
}

const { O_WRONLY, O_APPEND, O_CREAT, O_NONBLOCK } = nodeFiles.constants;
/** Appending, so that threads that share a file do not overwrite each other; readable by the group of the gateway. */
const flags = O_WRONLY | O_APPEND | O_CREAT | O_NONBLOCK;
const mode = 0o640;

const standardFds = new Map([
  ['stdout', 1],
  ['stderr', 2],
]);

/**
 * Opens `stdout`, `stderr` or the file of an absolute path, which is created when it is not there.
 * @throws when the file cannot be opened.
 */
export function openLogOutput(file: string, files: LogFiles): LogOutput {
  const standard = standardFds.get(file);
  if (standard === undefined) return outputOf(files.openSync(file, flags, mode), file, files);
  const pipe = files.fstatSync(standard).isFIFO() ? openPipeAgain(standard, files) : null;
  return pipe === null ? new FileOutput(standard, null, files) : new PipeOutput(pipe, files);
}

/** As `openLogOutput`, for the file of a path and without blocking. */
export function reopenLogOutput(
  path: string,
  files: LogFiles,
  done: (error: NodeJS.ErrnoException | null, output: LogOutput | null) => void,
): void {
  files.open(path, flags, mode, (error, fd) => done(error, error === null ? outputOf(fd, path, files) : null));
}

function outputOf(fd: number, path: string, files: LogFiles): LogOutput {
  return files.fstatSync(fd).isFIFO() ? new PipeOutput(fd, files) : new FileOutput(fd, path, files);
}

/**
 * A second handle on a pipe that we were given, one that does not block. To make the given one so would change it for
 * every process that shares it. Null where the platform cannot do this.
 */
function openPipeAgain(fd: number, files: LogFiles): number | null {
  try {
    return files.openSync(`/proc/self/fd/${fd}`, O_WRONLY | O_NONBLOCK);
  } catch {
    return null;
  }
}

/** Files, terminals and sockets: written to by the thread pool of the platform. */
class FileOutput implements LogOutput {
  private readonly fd: number;
  private readonly path: string | null;
  private readonly identity: string;
  private readonly files: LogFiles;

  /** @param path of a file of our own; null for one that we were given, which is neither watched nor closed. */
  constructor(fd: number, path: string | null, files: LogFiles) {
    this.fd = fd;
    this.path = path;
    this.files = files;
    this.identity = path === null ? '' : identityOf(files.fstatSync(fd));
  }

  write(bytes: Buffer, offset: number, done: Written): void {
    this.files.write(this.fd, bytes, offset, bytes.length - offset, null, done);
  }

  checkMoved(done: (hasMoved: boolean) => void): void {
    if (this.path === null) return;
    this.files.stat(this.path, (error, stats) => done(error !== null || identityOf(stats) !== this.identity));
  }

  close(): void {
    if (this.path !== null) this.files.close(this.fd, () => {});
  }
}

const identityOf = ({ dev, ino }: nodeFiles.Stats): string => `${dev}:${ino}`;

/** Writes to a pipe of up to this size are never mixed with those of other threads (POSIX: `PIPE_BUF`; 4096 on Linux). */
const atomicBytes = 4096;

/** A pipe that does not block. A write is a copy in memory, so there is no need to trouble the thread pool. */
class PipeOutput implements LogOutput {
  private readonly fd: number;
  private readonly files: LogFiles;

  constructor(fd: number, files: LogFiles) {
    this.fd = fd;
    this.files = files;
  }

  write(bytes: Buffer, offset: number, done: Written): void {
    let written: number;
    try {
      written = this.files.writeSync(this.fd, bytes, offset, wholeLines(bytes, offset));
    } catch (error) {
      done(error as NodeJS.ErrnoException, 0);
      return;
    }
    done(null, written);
  }

  checkMoved(): void {}

  close(): void {
    this.files.close(this.fd, () => {});
  }
}

/** The length of the whole lines from `offset` on that can be written in one piece; of one line when that is longer. */
function wholeLines(bytes: Buffer, offset: number): number {
  if (bytes.length - offset <= atomicBytes) return bytes.length - offset;
  const last = bytes.lastIndexOf(0x0a, offset + atomicBytes - 1);
  const end = last >= offset ? last : bytes.indexOf(0x0a, offset);
  return (end === -1 ? bytes.length : end + 1) - offset;
}
