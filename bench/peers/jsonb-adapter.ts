import type { Adapter, AdapterPayload } from 'oidc-provider'
import type { Pool } from 'pg'

type Row = { readonly payload: AdapterPayload; readonly consumed_at: Date | null }

/**
 * The textbook adapter of oidc-provider on PostgreSQL: one jsonb table, unprepared text queries on a pool. Its single
 * use is not atomic (the library looks first and consumes afterwards): that is what the textbook does.
 */
export function jsonbAdapter(pool: Pool): (type: string) => Adapter {
  const one = async (text: string, values: readonly unknown[]) => {
    const { rows } = await pool.query<Row>(text, [...values])
    const row = rows[0]
    return row && { ...row.payload, ...(row.consumed_at ? { consumed: Math.floor(row.consumed_at.getTime() / 1000) } : {}) }
  }
  const alive = 'and (expires_at is null or expires_at > now())'
  return (type) => ({
    async upsert(id, payload, expiresIn) {
      await pool.query(
        `insert into oidc_payload (type, id, payload, grant_id, uid, user_code, expires_at)
         values ($1, $2, $3, $4, $5, $6, now() + make_interval(secs => $7))
         on conflict (type, id) do update set payload = excluded.payload, grant_id = excluded.grant_id, uid = excluded.uid,
           user_code = excluded.user_code, expires_at = excluded.expires_at`,
        [type, id, payload, payload.grantId ?? null, payload.uid ?? null, payload.userCode ?? null, expiresIn || null],
      )
    },
    find: (id) => one(`select payload, consumed_at from oidc_payload where type = $1 and id = $2 ${alive}`, [type, id]),
    findByUid: (uid) => one(`select payload, consumed_at from oidc_payload where type = $1 and uid = $2 ${alive}`, [type, uid]),
    findByUserCode: (code) =>
      one(`select payload, consumed_at from oidc_payload where type = $1 and user_code = $2 ${alive}`, [type, code]),
    async consume(id) {
      await pool.query('update oidc_payload set consumed_at = now() where type = $1 and id = $2', [type, id])
    },
    async destroy(id) {
      await pool.query('delete from oidc_payload where type = $1 and id = $2', [type, id])
    },
    async revokeByGrantId(grantId) {
      await pool.query('delete from oidc_payload where grant_id = $1', [grantId])
    },
  })
}
