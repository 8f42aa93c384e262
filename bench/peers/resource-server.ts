/** The naive resource server: koa, jose and `pg`, with the same checks as the product and a query for each of them. */

import { text } from 'node:stream/consumers'
import type { TLSSocket } from 'node:tls'
import Router from '@koa/router'
import { createLocalJWKSet, type JSONWebKeySet } from 'jose'
import Koa from 'koa'
import pg from 'pg'
import { type AccessToken, Refused, verifyAccess } from './access.ts'
import { deliverOutbox } from './deliver-outbox.ts'
import { type PaymentBody, pay } from './payments.ts'
import { runPeer, type ServerTls, serve } from './serve.ts'

export type ResourceServerSettings = {
  readonly port: number
  readonly issuer: string
  readonly audience: string
  readonly origin: string
  readonly databaseUrl: string
  readonly jwks: JSONWebKeySet
  readonly tls: ServerTls
}

runPeer(async (settings: ResourceServerSettings) => {
  const pool = new pg.Pool({ connectionString: settings.databaseUrl, max: 16 })
  const trust = { ...settings, keys: createLocalJWKSet(settings.jwks), pool }
  const app = new Koa()
  app.use(async (ctx, next) => {
    try {
      ctx.set('cache-control', 'no-store')
      ctx.set('x-fapi-interaction-id', ctx.get('x-fapi-interaction-id') || crypto.randomUUID())
      await next()
    } catch (error) {
      if (!(error instanceof Refused)) process.stderr.write(`${String(error instanceof Error ? error.stack : error)}\n`)
      ctx.status = error instanceof Refused ? error.status : 500
      ctx.body = { Errors: [{ ErrorCode: 'U000', Message: error instanceof Error ? error.message : 'Unexpected error' }] }
    }
  })
  const router = new Router()
  router.get('/open-banking/v4.0/aisp/accounts/:accountId/balances', async (ctx) => {
    const access = await verifyAccess(trust, ctx.req, ctx.req.socket as TLSSocket, `${settings.origin}${ctx.path}`)
    ctx.body = await readBalances(pool, access, ctx.params['accountId'] ?? '', `${settings.origin}${ctx.path}`)
  })
  router.post('/open-banking/v4.0/pisp/domestic-payments', async (ctx) => {
    const access = await verifyAccess(trust, ctx.req, ctx.req.socket as TLSSocket, `${settings.origin}${ctx.path}`)
    const body = JSON.parse(await text(ctx.req)) as PaymentBody
    ctx.body = await pay(pool, access, body, ctx.get('x-idempotency-key'))
    ctx.status = 201
  })
  app.use(router.routes())
  deliverOutbox(pool).catch((error) => {
    process.stderr.write(`the outbox is not delivered any more: ${String(error)}\n`)
    process.exitCode = 1
  })
  await serve(app.callback(), settings.port, settings.tls, true)
})

async function readBalances(pool: pg.Pool, access: AccessToken, accountId: string, self: string): Promise<object> {
  if (!access.scopes.has('accounts')) throw new Refused(403, 'the scope accounts is needed')
  const consent = await pool.query(
    `select consent.consent_id from consent join client using (client_id) join consent_account using (consent_id)
     where consent.grant_id = $1 and consent.client_id = $2 and consent_account.account_id = $3 and consent.status = 'AUTH'
       and client.status = 'active' and 'ReadBalances' = any (consent.permissions)
       and (consent.expires_at is null or consent.expires_at > now())`,
    [access.grantId, access.clientId, accountId],
  )
  if (consent.rowCount === 0) throw new Refused(403, 'the consent does not cover this account')
  const { rows } = await pool.query('select currency, balance_minor, overdraft_minor from account where account_id = $1', [accountId])
  const account = rows[0]
  if (account === undefined) throw new Refused(404, 'no such account')
  const at = new Date().toISOString()
  const balance = (minor: bigint, Type: string) => ({
    AccountId: accountId,
    CreditDebitIndicator: minor < 0n ? 'Debit' : 'Credit',
    Type,
    DateTime: at,
    Amount: { Amount: major(minor), Currency: account.currency },
  })
  const posted = BigInt(account.balance_minor)
  return {
    Data: { Balance: [balance(posted, 'ITBD'), balance(posted + BigInt(account.overdraft_minor), 'ITAV')] },
    Links: { Self: self },
    Meta: {},
  }
}

function major(minor: bigint): string {
  const digits = (minor < 0n ? -minor : minor).toString().padStart(3, '0')
  return `${digits.slice(0, -2)}.${digits.slice(-2)}`
}
