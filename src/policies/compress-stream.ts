/** A stream that compresses, and that holds nothing back when its source pauses. */
import { Duplex, type Transform } from 'node:stream';
import { type Zlib, constants, createBrotliCompress, createGzip, createZstdCompress } from 'node:zlib';

export const CODINGS = ['zstd', 'br', 'gzip'] as const;
export type Coding = (typeof CODINGS)[number];

type Engine = Transform & Zlib;

/**
 * The settings that serve changing responses: past these levels a few per cent of size cost several times the CPU. The
 * windows are 512 KiB rather than the largest, because there is one for every response on its way; RFC 9659, section 3
 * allows zstd up to 8 MiB.
 */
const engines: Record<Coding, { readonly create: () => Engine; readonly flushKind: number }> = {
  zstd: {
    create: () =>
      createZstdCompress({
        params: { [constants.ZSTD_c_compressionLevel]: 3, [constants.ZSTD_c_windowLog]: 19 },
      }),
    flushKind: constants.ZSTD_e_flush,
  },
  br: {
    create: () =>
      createBrotliCompress({
        params: { [constants.BROTLI_PARAM_QUALITY]: 4, [constants.BROTLI_PARAM_LGWIN]: 19 },
      }),
    flushKind: constants.BROTLI_OPERATION_FLUSH,
  },
  gzip: {
    create: () => createGzip({ level: 6 }),
    flushKind: constants.Z_SYNC_FLUSH,
  },
};

/**
 * Compresses what is written to it. A compressor keeps what it is given until it has a block's worth of it, so an event
 * that a slow upstream sends would wait for the next ones. Flushing after every chunk would cure that and make bodies
 * larger; so this one flushes when no other chunk has followed by the next turn of the event loop.
 */
export class CompressStream extends Duplex {
  private readonly engine: Engine;
  private readonly flushKind: number;
  /** How many chunks have been given to the engine. */
  private chunks = 0;

  constructor(coding: Coding) {
    super();
    const { create, flushKind } = engines[coding];
    this.flushKind = flushKind;
    this.engine = create();
    this.engine.on('data', (compressed: Buffer) => {
      if (!this.push(compressed)) this.engine.pause();
    });
    this.engine.once('end', () => this.push(null));
    this.engine.once('error', (error) => this.destroy(error));
  }

  override _read(): void {
    this.engine.resume();
  }

  override _write(chunk: Buffer, _encoding: BufferEncoding, done: (error?: Error | null) => void): void {
    const nth = ++this.chunks;
    this.engine.write(chunk, (error) => {
      done(error);
      // When another chunk had been waiting, `done` has just begun to write it.
      if (nth === this.chunks) setImmediate(() => this.flushAfter(nth));
    });
  }

  override _final(done: (error?: Error | null) => void): void {
    this.engine.end(() => done());
  }

  override _destroy(error: Error | null, done: (error?: Error | null) => void): void {
    this.engine.destroy();
    done(error);
  }

  private flushAfter(nth: number): void {
    if (nth === this.chunks && !this.writableEnded && !this.destroyed) this.engine.flush(this.flushKind);
  }
}
