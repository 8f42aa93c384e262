import type { Clock } from '@bankside/service-kit/clock'
import type { Prepared } from '@bankside/service-kit/prepared'
import { errors, Provider } from 'oidc-provider'
import { keptWithRequest } from '../http/kept-with-request.ts'
import { sessionSeconds } from '../tokens/lifetimes.ts'
import { insertText, type Target } from './insert-text.ts'
import { isWritten, wasFound } from './lasting-sessions.ts'
import { numberedStatements, type Statement } from './numbered-statements.ts'

/** A row that comes with an answer. */
export type AnswerRow = Target & { readonly values: readonly unknown[] }

type UsedUp = { readonly hash: Buffer; readonly at: Date; readonly refuse: () => Error }
/** One row of a table: the last that was given. */
type Writes = { pushed?: UsedUp; interaction?: Buffer; readonly rows: Map<string, AnswerRow> }

/**
 * What the answer to a pushed request leaves behind: that the request is used up and its interaction over, the code, the session,
 * perhaps a grant. The library writes one after the other; here one statement writes all of it, and nothing of it for a request that was used up before,
 * nor for a session that ended meanwhile: the session would be there again, and what was given through it had missed the end.
 */
export type AnswerWrites = {
  /** The request is used up when the answer is written. False where no answer comes. */
  useUpLater(pushed: UsedUp): boolean
  /** The same for the interaction that led to a yes. Any other ends at once: no code comes after it. */
  forgetLater(interaction: Buffer): boolean
  /** Whether the row is written with the answer: from when the request is to be used up until that is done. */
  joins(row: AnswerRow): boolean
  /** @throws what the request is refused with that was used up before. @returns false where none is to be used up. */
  write(code: AnswerRow): Promise<boolean>
}

const answering: ReadonlySet<string> = new Set(['authorization', 'resume'])

export function answerWrites(prepared: Prepared, clock: Clock): AnswerWrites {
  const waiting = keptWithRequest<Writes>('answer writes')
  const ofRequest = () => {
    const { ctx } = Provider
    return ctx && answering.has(ctx.oidc.route) ? ctx : undefined
  }
  const writesOf = (request: object): Writes => {
    const found = waiting.get(request) ?? { rows: new Map() }
    waiting.set(request, found)
    return found
  }
  return {
    useUpLater(pushed) {
      const request = ofRequest()
      if (request !== undefined) writesOf(request).pushed ??= pushed
      return request !== undefined
    },
    forgetLater(interaction) {
      const request = ofRequest()
      if (request?.oidc.entities.Interaction?.result?.consent === undefined) return false
      writesOf(request).interaction = interaction
      return true
    },
    joins(row) {
      const writes = waiting.get(ofRequest() ?? {})
      if (writes?.pushed === undefined) return false
      writes.rows.set(row.table, row)
      return true
    },
    async write(code) {
      const request = ofRequest()
      const writes = request && waiting.get(request)
      if (request === undefined || writes === undefined) return false
      if (writes.pushed === undefined) {
        waiting.delete(request)
        // It came by value: there is nothing to use up.
        if (writes.interaction !== undefined) await prepared.query('oidc_answer_forget', forgetText(1), [writes.interaction])
        return false
      }
      const { session } = request.oidc
      await session?.save(sessionSeconds(session.loginTs, clock.now().getTime() / 1000))
      waiting.delete(request)
      const { hash, at, refuse } = writes.pushed
      const rows = [...writes.rows.values(), code]
      const forgotten = writes.interaction === undefined ? [] : [writes.interaction]
      const lasting = session !== undefined && writes.rows.has('session') && wasFound(session) ? [session.uid] : []
      const { name, text } = statementFor(rows, { forgets: forgotten.length > 0, lasts: lasting.length > 0 })
      const values = [hash, at, ...rows.flatMap((row) => row.values), ...forgotten, ...lasting]
      const [answer] = await prepared.query<{ used: number; lasts: boolean }>(name, text, values)
      if (answer?.lasts === false) {
        // Or the library would write it.
        Object.assign(session ?? {}, { destroyed: true })
        throw new errors.LoginRequired('the session ended meanwhile')
      }
      if (answer?.used !== 1) throw refuse()
      if (session !== undefined) isWritten(session)
      return true
    },
  }
}

/** @param after The last place before its values. */
export function insertsFrom(source: string, row: AnswerRow, after: number): string {
  const values = row.columns.map(({ type }, index) => `$${after + index + 1}::${type}`)
  return insertText(row, `select ${values.join(', ')} from ${source}`)
}

const forgetText = (place: number) => `delete from oidc.interaction where id_hash = $${place}`

const statements = numberedStatements('oidc_answer')

type Besides = { readonly forgets: boolean; readonly lasts: boolean }

/** One for each set of tables that is written together. */
function statementFor(rows: readonly AnswerRow[], besides: Besides): Statement {
  const { forgets, lasts } = besides
  const tables = [...rows.map(({ table }) => table), ...(forgets ? ['interaction'] : []), ...(lasts ? ['lasting'] : [])].join(' ')
  return statements(tables, () => statementText(rows, besides))
}

function statementText(rows: readonly AnswerRow[], { forgets, lasts }: Besides): string {
  let place = 2
  const parts = rows.map((row) => {
    const part = `written_${row.table} as (${insertsFrom('used', row, place)})`
    place += row.columns.length
    return part
  })
  const lasting = `lasting as materialized (select true from oidc.session where uid = $${place + (forgets ? 2 : 1)} for update),`
  return `with ${lasts ? lasting : ''} used as (
      update oidc.pushed_authorization_request set consumed_at = $2
      where id_hash = $1 and consumed_at is null ${lasts ? 'and exists (select from lasting)' : ''} returning true as used),
    ${[...parts, ...(forgets ? [`forgotten as (${forgetText(place + 1)})`] : [])].join(', ')}
    select (select count(*)::int from used) as used, ${lasts ? 'exists (select from lasting)' : 'true'} as lasts`
}
