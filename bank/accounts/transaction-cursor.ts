import { createHash, timingSafeEqual } from 'node:crypto'
import type { AccountId } from '../ids.ts'
import { refuse } from '../refusal.ts'

/** A place between two transactions of an account, and which way to read on from there. */
export type TransactionCursor = { readonly direction: 'older' | 'newer'; readonly bookedAt: Date; readonly postingNumber: bigint }

const checksumBytes = 6
const positionBytes = 17
const [earliestMs, latestMs] = [0n, BigInt(Date.UTC(9999, 11, 31))]

/** The list that is read: a cursor is good for no other, and for no other client (RW-D-10). */
export type CursorScope = { readonly accountId: AccountId; readonly clientId: string }

/**
 * Opaque text. It says where to read on and nothing else: what may be read is decided again on every call, so a forged
 * cursor moves within what is permitted anyway. The checksum is there to answer a damaged or misplaced one with an error.
 */
export function formatCursor(scope: CursorScope, { direction, bookedAt, postingNumber }: TransactionCursor): string {
  const position = Buffer.alloc(positionBytes)
  position.writeUInt8(direction === 'older' ? 1 : 2, 0)
  position.writeBigInt64BE(BigInt(bookedAt.getTime()), 1)
  position.writeBigInt64BE(postingNumber, 9)
  return Buffer.concat([position, checksum(scope, position)]).toString('base64url')
}

/** @throws {Refusal} `field_invalid`. */
export function parseCursor(scope: CursorScope, text: string): TransactionCursor {
  const bytes = Buffer.from(text, 'base64url')
  const position = bytes.subarray(0, positionBytes)
  const sound =
    bytes.length === positionBytes + checksumBytes &&
    bytes.toString('base64url') === text &&
    timingSafeEqual(bytes.subarray(positionBytes), checksum(scope, position))
  const time = sound ? position.readBigInt64BE(1) : 0n
  // A forged one may name a time that there is none of.
  if (!sound || time < earliestMs || time > latestMs) refuse('field_invalid', 'not a page of this list', { path: 'page' })
  const bookedAt = new Date(Number(time))
  return { direction: position.readUInt8(0) === 1 ? 'older' : 'newer', bookedAt, postingNumber: position.readBigInt64BE(9) }
}

function checksum({ accountId, clientId }: CursorScope, position: Buffer): Buffer {
  return createHash('sha256').update(`transactions of ${accountId} for ${clientId}`).update(position).digest().subarray(0, checksumBytes)
}
