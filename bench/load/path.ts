import type { Target } from '../targets/target.ts'
import type { Connection, Credentials } from './connection.ts'

/** What the operations of one round need, made before its clock starts. */
export type Prepared = {
  readonly perform: (connection: Connection, index: number, worker: number) => Promise<void>
  /** Looks into the answers after the clock has stopped. @throws when one of them is not what was asked for. */
  readonly check: () => Promise<void> | void
  /** Waits until what was answered is also done, where that comes later. */
  readonly settle?: () => Promise<void>
}

export type Path = {
  readonly name: string
  /** What one operation consists of, for the reader of the table. */
  readonly consistsOf: string
  /** What the ratio has to be: better than the peer where nothing is said, and at least this where something is. */
  readonly leastRatio?: number
  /** Compared with something else than the peer: two views of the first side, say. */
  readonly sidesFrom?: (sides: readonly [Target, Target]) => Promise<readonly [Target, Target]>
  readonly connects: (target: Target) => { readonly origin: string; readonly credentials: Credentials }
  readonly prepare: (target: Target, count: number) => Promise<Prepared>
  /** The last word after all rounds, given how many operations each target performed. */
  readonly conclude?: (target: Target, operations: number) => Promise<void>
}

/** An answer that an operation cannot go on with. Ends the run: a bench that measures refusals measures nothing. */
export class UnexpectedAnswer extends Error {
  override readonly name = 'UnexpectedAnswer'
}

export function expectStatus(path: string, expected: number, { status, body }: { status: number; body: string }): void {
  if (status !== expected) throw new UnexpectedAnswer(`${path}: ${status} instead of ${expected}: ${body.slice(0, 500)}`)
}
