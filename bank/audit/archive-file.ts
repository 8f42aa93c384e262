import { createHash } from 'node:crypto'
import { createReadStream, createWriteStream } from 'node:fs'
import { open, rename } from 'node:fs/promises'
import { dirname } from 'node:path'
import { createInterface } from 'node:readline'
import { Readable } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import { createGunzip, createGzip } from 'node:zlib'
import { z } from '@bankside/service-kit/postgres'

/** A record as it was sealed, and which leaf was made of it. */
export type ArchivedRow = z.infer<typeof archivedRow>

const archivedRow = z.object({
  leaf: z.number(),
  key: z.string(),
  /** As text: numbers of transactions go beyond what JSON keeps. */
  writtenIn: z.string(),
  row: z.record(z.string(), z.string().nullable()),
})

const format = 'bankside-archive/1'
const privateMode = 0o600

/**
 * A line of JSON for each row, in the order of their leaves, behind one that says what it is; gzipped. It lasts when this is done: it has its
 * name only then.
 *
 * @returns SHA-256 of the file.
 */
export async function writeArchive(path: string, head: object, rows: AsyncIterable<ArchivedRow>): Promise<string> {
  const hash = createHash('sha256')
  const unfinished = `${path}.unfinished`
  await pipeline(
    Readable.from(linesOf(head, rows)),
    createGzip(),
    async function* (chunks: AsyncIterable<Buffer>) {
      for await (const chunk of chunks) {
        hash.update(chunk)
        yield chunk
      }
    },
    createWriteStream(unfinished, { mode: privateMode }),
  )
  await synced(unfinished)
  await rename(unfinished, path)
  await synced(dirname(path))
  return hash.digest('hex')
}

async function* linesOf(head: object, rows: AsyncIterable<ArchivedRow>): AsyncIterable<string> {
  yield `${JSON.stringify({ format, ...head })}\n`
  for await (const row of rows) yield `${JSON.stringify(row)}\n`
}

async function synced(path: string): Promise<void> {
  const file = await open(path, 'r')
  try {
    await file.sync()
  } finally {
    await file.close()
  }
}

export async function sha256OfFile(path: string): Promise<string> {
  const hash = createHash('sha256')
  for await (const chunk of createReadStream(path)) hash.update(chunk as Buffer)
  return hash.digest('hex')
}

/** Of a file whose hash was compared. */
export async function* rowsOfArchive(path: string): AsyncIterable<ArchivedRow> {
  const lines = createInterface({ input: createReadStream(path).pipe(createGunzip()), crlfDelay: Number.POSITIVE_INFINITY })
  let isHead = true
  for await (const line of lines) {
    if (isHead) z.object({ format: z.literal(format) }).parse(JSON.parse(line))
    else yield archivedRow.parse(JSON.parse(line))
    isHead = false
  }
}
