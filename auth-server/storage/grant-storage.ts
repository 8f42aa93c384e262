import type { Clock } from '@bankside/service-kit/clock'
import { type SqlFragment, sql } from '@bankside/service-kit/postgres'
import type { Prepared } from '@bankside/service-kit/prepared'
import type { Adapter, AdapterPayload, Grant } from 'oidc-provider'
import type { AnswerWrites } from './answer-writes.ts'
import { handleHash } from './handle-hash.ts'
import type { KeyedRows } from './keyed-rows.ts'
import type { SealedPayloads } from './sealed-payloads.ts'

/**
 * Grants are named by their id (it is no secret: it is in every access token), belong to a customer and a client, and are
 * never deleted while their tokens may live: revoking marks them, and the resource API reads the mark with every call.
 */
export function grantStorage(
  {
    prepared,
    rows,
    answers,
    clock,
  }: { readonly prepared: Prepared; readonly rows: KeyedRows; readonly answers: AnswerWrites; readonly clock: Clock },
  payloads: SealedPayloads,
): Pick<Adapter, 'upsert' | 'find' | 'destroy'> {
  const find = rows({
    name: 'grant',
    table: 'oidc.grant',
    key: { column: 'grant_id', type: 'text' },
    payload: 'payload',
    condition: 'revoked_at is null and expires_at > $1',
  })
  return {
    async upsert(id, payload, expiresIn) {
      if (!payload.accountId || !payload.clientId || expiresIn === undefined) throw new Error('a grant has a customer, a client and an end')
      const now = clock.now()
      const values = [
        ...[id, payload.clientId, payload.accountId, payloads.seal(id, payload)],
        ...[now, new Date(now.getTime() + expiresIn * 1000), claimBefore(payload), sessionHash(payload)],
      ]
      if (answers.joins({ table: 'grant', columns, values })) return
      await prepared.query(
        'oidc_grant_upsert',
        `insert into oidc.grant (grant_id, client_id, customer_id, payload, created_at, expires_at, claim_before, session_hash)
         values ($1, $2, $3, $4, $5, $6, $7, $8)
         on conflict (grant_id) do update set payload = excluded.payload, expires_at = excluded.expires_at`,
        values,
        // Nothing refers to it yet: the decision that does comes after it, waits for the disk, and takes it with it.
        { mayBeLost: true },
      )
    },
    async find(id) {
      const row = await find(id)
      const payload = row && payloads.open(id, row.payload)
      return payload && { ...payload, jti: id }
    },
    async destroy(id) {
      const text = 'update oidc.grant set revoked_at = $2 where grant_id = $1 and revoked_at is null'
      await prepared.query('oidc_grant_revoke', text, [id, clock.now()])
    },
  }
}

const columns = [
  ...(['grant_id', 'client_id', 'customer_id', 'payload'] as const).map((name) => ({ name, type: 'text' as const })),
  ...(['created_at', 'expires_at', 'claim_before'] as const).map((name) => ({ name, type: 'timestamptz' as const })),
  { name: 'session_hash', type: 'bytea' as const },
]

/** The statement that keeps a new grant, for the transaction that refers to it. Its id was chosen by who made it. */
export async function insertGrant(payloads: SealedPayloads, grant: Grant, now: Date): Promise<SqlFragment> {
  const { jti: id, expiresIn } = grant as Grant & { readonly expiresIn?: number }
  const { payload } = await (grant as unknown as { getValueAndPayload(): Promise<{ payload: AdapterPayload }> }).getValueAndPayload()
  const { clientId, accountId } = payload
  if (!clientId || !accountId || expiresIn === undefined) throw new Error('a grant has a customer, a client and an end')
  const [claimed, session] = [claimBefore(payload), sessionHash(payload)]
  return sql.fragment`
    insert into oidc.grant (grant_id, client_id, customer_id, payload, created_at, expires_at, claim_before, session_hash)
    values (${id}, ${clientId}, ${accountId}, ${payloads.seal(id, payload)}, ${sql.timestamp(now)},
      ${sql.timestamp(new Date(now.getTime() + expiresIn * 1000))}, ${claimed === null ? null : sql.timestamp(claimed)}, ${session === null ? null : sql.binary(session)})`
}

/** Of the session that it ends with. */
function sessionHash(payload: AdapterPayload): Buffer | null {
  const uid = payload['throughSession']
  return typeof uid === 'string' ? handleHash(uid) : null
}

function claimBefore(payload: AdapterPayload): Date | null {
  const seconds = payload['claimBefore']
  return typeof seconds === 'number' ? new Date(seconds * 1000) : null
}
