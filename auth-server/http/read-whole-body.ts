import type { IncomingMessage } from 'node:http'
/** More than any form here needs; the library itself reads at most 56 KiB. */
export const maxBodyBytes = 56 * 1024

type Iterator = IncomingMessage['iterator']

/**
 * Whoever goes through the body of this request gets it in one piece: the async iterator of a stream costs more than all that is
 * done with most forms. Of a body that is longer than any form may be, what came until then; the rest is dropped.
 */
export function readWhole(request: IncomingMessage): void {
  request.iterator = (() => oneChunk(request)) as Iterator
}

async function* oneChunk(request: IncomingMessage): AsyncGenerator<Buffer> {
  yield await wholeOf(request)
}

export function wholeOf(request: IncomingMessage): Promise<Buffer> {
  // Then it has ended, and no event says so.
  if (request.headers['content-length'] === undefined && request.headers['transfer-encoding'] === undefined)
    return Promise.resolve(Buffer.alloc(0))
  const chunks: Buffer[] = []
  let length = 0
  return new Promise<Buffer>((resolve, reject) => {
    const settle = () => {
      request.off('data', take).off('end', settle).off('error', fail).off('close', fail)
      resolve(chunks.length === 1 ? (chunks[0] as Buffer) : Buffer.concat(chunks, length))
    }
    const fail = (error: unknown) => reject(error ?? new Error('the request ended before its body'))
    const take = (chunk: Buffer) => {
      chunks.push(chunk)
      length += chunk.length
      if (length <= maxBodyBytes) return
      settle()
      request.resume()
    }
    if (request.destroyed) fail(undefined)
    else request.on('data', take).on('end', settle).on('error', fail).on('close', fail)
  })
}
