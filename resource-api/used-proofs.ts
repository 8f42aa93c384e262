import type { Prepared } from '@bankside/service-kit/prepared'

/** Remembers a proof that was accepted. Answers false when another request, in whatever process, was first with it. */
export type UseProofOnce = (identifierHash: Buffer, expiresAt: Date) => Promise<boolean>

/**
 * Not in the request's transaction: a proof stays used when the request that carried it is refused, and it must be
 * durable before the request is answered. The primary key decides between two that race.
 */
export function useProofOnce(prepared: Prepared): UseProofOnce {
  return async (identifierHash, expiresAt) => {
    const inserted = await prepared.query(
      'use-proof-once',
      'insert into oidc.used_identifier (id_hash, expires_at) values ($1, $2) on conflict (id_hash) do nothing returning expires_at',
      [identifierHash, expiresAt],
    )
    return inserted.length === 1
  }
}
