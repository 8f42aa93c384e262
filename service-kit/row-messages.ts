import { EventEmitter } from 'node:events'
import type pg from 'pg'

/** A row as it came, not yet taken apart. It is gone when the handler of the message returns. */
export class RowMessage {
  readonly name = 'dataRow'
  readonly bytes: Buffer
  /** Of the number of fields, which begin behind it. */
  readonly start: number

  constructor(bytes: Buffer, start: number) {
    this.bytes = bytes
    this.start = start
  }

  /** What `pg` gives of a row: the text of each field. */
  get fields(): (string | null)[] {
    let at = this.start + 2
    return Array.from({ length: this.bytes.readInt16BE(this.start) }, () => {
      const length = this.bytes.readInt32BE(at)
      at += 4
      if (length < 0) return null
      at += length
      return this.bytes.toString('utf8', at - length, at)
    })
  }
}

type Source = Pick<EventEmitter, 'on' | 'emit'>
type Wire = EventEmitter & { attachListeners(stream: Source): void }
const dataRow = 'D'.charCodeAt(0)
/** Type and length of a message. */
const headerBytes = 5

/**
 * Has `pg` hand on rows as they came: it makes a text of every field of every row, which for most fields is not what is wanted.
 * All other messages are read by `pg` as ever, in their order.
 */
export function keepRowsWhole(client: pg.Client): void {
  const { connection } = client as unknown as { readonly connection: Wire }
  const attach = connection.attachListeners.bind(connection)
  connection.attachListeners = (stream) => {
    const others = new EventEmitter()
    attach(others)
    let rest: Buffer | undefined
    stream.on('data', (chunk: Buffer) => {
      rest = split(rest === undefined ? chunk : Buffer.concat([rest, chunk]), connection, others)
    })
    stream.on('end', () => others.emit('end'))
  }
}

/** @returns the beginning of a message whose end is yet to come. */
function split(bytes: Buffer, connection: EventEmitter, others: EventEmitter): Buffer | undefined {
  let at = 0
  let othersFrom = 0
  while (at + headerBytes <= bytes.length) {
    const end = at + 1 + bytes.readUInt32BE(at + 1)
    if (end > bytes.length) break
    if (bytes[at] === dataRow) {
      if (othersFrom < at) others.emit('data', bytes.subarray(othersFrom, at))
      connection.emit('dataRow', new RowMessage(bytes, at + headerBytes))
      othersFrom = end
    }
    at = end
  }
  if (othersFrom < at) others.emit('data', bytes.subarray(othersFrom, at))
  return at < bytes.length ? bytes.subarray(at) : undefined
}
