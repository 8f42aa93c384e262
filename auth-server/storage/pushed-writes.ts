import { identifierUse } from '@bankside/bank/access/used-identifiers'
import { gather } from '@bankside/service-kit/gather'
import type { Prepared } from '@bankside/service-kit/prepared'
import { errors, Provider } from 'oidc-provider'
import { keptWithRequest } from '../http/kept-with-request.ts'
import { beforeRefusal } from '../library/before-refusal.ts'
import { protocolErrors } from '../protocol-errors.ts'
import type { UsedIdentifier } from './use-identifier.ts'

/** Of a pushed request: its hash, the sealed payload, its end. */
type Row = readonly [hash: Buffer, payload: string, expiresAt: Date]
type Push = { readonly assertion: UsedIdentifier; readonly row: Row }

/**
 * What a pushed request leaves behind: that its client's assertion is used up, and the request. The library writes one after the other;
 * here one statement does for all requests of a turn, and nothing is kept for an assertion that was used before. Whoever's assertion was
 * used before is told that, and a request that is refused for something else has used its assertion up.
 */
export type PushedWrites = {
  /** The assertion is used up when the request that came with it is kept, or refused. False for whatever else is used up. */
  joins(identifier: UsedIdentifier): boolean
  /** @throws {InvalidClientAuth} for an assertion that was used before. @returns false where none waits. */
  write(values: readonly unknown[]): Promise<boolean>
}

const pushesPerStatement = 100
const statementsAtOnce = 2

export function pushedWrites(prepared: Prepared): PushedWrites {
  const use = identifierUse(prepared)
  const keep = gather((pushes: readonly Push[]) => keepAll(prepared, pushes), {
    atMost: pushesPerStatement,
    callsAtOnce: statementsAtOnce,
  })
  /** Null once it is used up: what else such a request uses up is no assertion. */
  const assertions = keptWithRequest<UsedIdentifier | null>('assertion')
  const take = (request: object): UsedIdentifier | null => {
    const assertion = assertions.get(request) ?? null
    assertions.set(request, null)
    return assertion
  }
  return {
    joins(identifier) {
      const { ctx } = Provider
      if (ctx?.oidc.route !== 'pushed_authorization_request' || assertions.get(ctx) !== undefined) return false
      if (ctx.oidc.client?.clientAuthMethod !== 'private_key_jwt') return false
      assertions.set(ctx, identifier)
      beforeRefusal(ctx, async () => {
        const assertion = take(ctx)
        if (assertion !== null && !(await protocolErrors(use(assertion.hash, assertion.until)))) throw usedBefore()
      })
      return true
    },
    async write(values) {
      const assertion = take(Provider.ctx ?? {})
      if (assertion === null) return false
      if (!(await protocolErrors(keep({ assertion, row: values as unknown as Row })))) throw usedBefore()
      return true
    },
  }
}

/** In the library's words. */
const usedBefore = () => new errors.InvalidClientAuth('client assertion tokens must only be used once')

async function keepAll(prepared: Prepared, pushes: readonly Push[]): Promise<readonly boolean[]> {
  // Of two with the same assertion, the first is the use; sorted, so that two statements never wait for each other.
  const firsts = new Map<string, Push>()
  for (const push of pushes) if (!firsts.has(push.assertion.hash)) firsts.set(push.assertion.hash, push)
  const distinct = [...firsts.values()].sort((one, other) => (one.assertion.hash < other.assertion.hash ? -1 : 1))
  const [only, another] = distinct
  const rows =
    only !== undefined && another === undefined
      ? await prepared.query<Kept>('oidc_push_one', oneText, [only.assertion.hash, only.assertion.until, ...only.row])
      : await prepared.query<Kept>('oidc_push', manyText, listsOf(distinct))
  const kept = new Set(rows.map(({ kept }) => kept))
  return pushes.map((push) => firsts.get(push.assertion.hash) === push && kept.has(push.row[0].toString('hex')))
}

type Kept = { readonly kept: string }

const listsOf = (pushes: readonly Push[]): readonly (readonly unknown[])[] => [
  pushes.map(({ assertion }) => assertion.hash),
  pushes.map(({ assertion }) => assertion.until),
  ...([0, 1, 2] as const).map((place) => pushes.map(({ row }) => row[place])),
]

const textWith = (source: string): string => `
  with push as (select * from ${source} as push (assertion, until, id_hash, payload, expires_at)),
  used as (
    insert into oidc.used_identifier (id_hash, expires_at) select decode(assertion, 'hex'), until from push
    on conflict on constraint identifier_is_used_once do nothing returning id_hash)
  insert into oidc.pushed_authorization_request (id_hash, payload, expires_at)
  select push.id_hash, push.payload, push.expires_at from push join used on used.id_hash = decode(push.assertion, 'hex')
  returning encode(id_hash, 'hex') as kept`

const oneText = textWith('(values ($1::text, $2::timestamptz, $3::bytea, $4::text, $5::timestamptz))')
const manyText = textWith('unnest($1::text[], $2::timestamptz[], $3::bytea[], $4::text[], $5::timestamptz[])')
