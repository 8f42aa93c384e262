import type { Prepared } from '@bankside/service-kit/prepared'
import { errors, Provider } from 'oidc-provider'
import { keptWithRequest } from '../http/kept-with-request.ts'
import type { Context, Next } from '../http/request-context.ts'
import { protocolErrors } from '../protocol-errors.ts'
import { type AnswerRow, insertsFrom } from './answer-writes.ts'
import { numberedStatements, type Statement } from './numbered-statements.ts'
import type { UsedIdentifier } from './use-identifier.ts'

type Code = { readonly hash: Buffer; readonly at: Date; readonly refuse: () => Error; readonly revokeGrant: () => Promise<unknown> }
type Writes = { readonly code: Code; proof?: UsedIdentifier }

/**
 * What the answer to a code leaves behind: that the code is used up, and the proof of possession after it, and a refresh token where
 * there is one. The library writes one after the other; here one statement does, in the same order: nothing comes of a code that was
 * used before, and of a proof that was used before comes no token.
 */
export type TokenWrites = {
  /** The code is used up when the tokens are written. False where none are made of a code. */
  useUpLater(code: Code): boolean
  joins(proof: UsedIdentifier): boolean
  /** @throws {InvalidGrant} for a code or a proof that was used before. @returns false where nothing waits to be written. */
  write(refreshToken?: AnswerRow): Promise<boolean>
  /** A request that fails afterwards has used its code up all the same. */
  finish(ctx: Context, next: Next): Promise<void>
}

export function tokenWrites(prepared: Prepared): TokenWrites {
  const waiting = keptWithRequest<Writes>('token writes')
  const write = async (request: object, refreshToken: AnswerRow | undefined) => {
    const writes = waiting.get(request)
    if (writes === undefined) return false
    waiting.delete(request)
    const { code, proof } = writes
    const { name, text } = statementFor(proof !== undefined, refreshToken)
    const values = [code.hash, code.at, ...(proof ? [proof.hash, proof.until] : []), ...(refreshToken?.values ?? [])]
    const [answer] = await protocolErrors(prepared.query<{ used: number; proven: number }>(name, text, values))
    if (answer?.used !== 1) {
      await code.revokeGrant()
      throw code.refuse()
    }
    if (proof !== undefined && answer.proven !== 1) throw new errors.InvalidGrant('DPoP proof JWT Replay detected')
    return true
  }
  return {
    useUpLater(code) {
      const { ctx } = Provider
      if (ctx?.oidc.route !== 'token' || ctx.oidc.params?.['grant_type'] !== 'authorization_code') return false
      waiting.set(ctx, { code })
      return true
    },
    joins(proof) {
      const writes = waiting.get(Provider.ctx ?? {})
      if (writes === undefined || writes.proof !== undefined) return false
      writes.proof = proof
      return true
    },
    write: async (refreshToken) => write(Provider.ctx ?? {}, refreshToken),
    async finish(ctx, next) {
      await next()
      await write(ctx, undefined).catch((error: unknown) => {
        // It is answered with an error already.
        if (!(error instanceof errors.InvalidGrant)) throw error
      })
    },
  }
}

const statements = numberedStatements('oidc_token_answer')

const statementFor = (hasProof: boolean, refreshToken: AnswerRow | undefined): Statement =>
  statements(`${hasProof} ${refreshToken?.table}`, () => statementText(hasProof, refreshToken))

function statementText(hasProof: boolean, refreshToken: AnswerRow | undefined): string {
  const proof = `insert into oidc.used_identifier (id_hash, expires_at) select decode($3, 'hex'), $4::timestamptz from used
    on conflict on constraint identifier_is_used_once do nothing returning true as proven`
  const source = hasProof ? 'used, proof' : 'used'
  return `with used as (
      update oidc.authorization_code set consumed_at = $2 where id_hash = $1 and consumed_at is null returning true as used)
    ${hasProof ? `, proof as (${proof})` : ''}
    ${refreshToken === undefined ? '' : `, written as (${insertsFrom(source, refreshToken, hasProof ? 4 : 2)})`}
    select (select count(*)::int from used) as used, ${hasProof ? '(select count(*)::int from proof)' : '0'} as proven`
}
