import { randomBytes } from 'node:crypto'
import { closeSession, type OpenSession, openSession, touchSession } from '@bankside/bank/customers/session'
import type { CustomerId } from '@bankside/bank/ids'
import { type Database, transact } from '@bankside/service-kit/postgres'
import { keyedSignatures } from '../http/keyed-signatures.ts'
import type { Context } from '../http/request-context.ts'
import type { StoredSeals } from '../storage/stored-seals.ts'

const sessionCookie = '__Host-bankside_dashboard'
const signInCookie = '__Host-bankside_sign_in'

/** Not sent with any request that another site begins. */
const options = { httpOnly: true, secure: true, sameSite: 'strict', path: '/', signed: false, overwrite: true } as const

type Sealing = { readonly database: Database; readonly seals: StoredSeals }
export type DashboardSession = OpenSession & { readonly secret: string }

/** Who is signed in to the dashboard in this browser; being asked keeps the session from idling. */
export async function findSession(ctx: Context, { database, seals }: Sealing, now: Date): Promise<DashboardSession | undefined> {
  const [secret, seal] = cookieParts(ctx)
  if (secret === undefined || seal === undefined) return undefined
  const session = await transact(database, (tx) => touchSession(tx, { secret, now }))
  // Whose it is stands in the database, where somebody may have written who has no keys.
  return session && seals.isSigned(['dashboard session', secret], session.customerId, seal) ? { ...session, secret } : undefined
}

const cookieParts = (ctx: Context): readonly string[] => ctx.cookies.get(sessionCookie, { signed: false })?.split('.') ?? []

export async function beginSession(ctx: Context, { database, seals }: Sealing, customerId: CustomerId, now: Date): Promise<void> {
  const secret = await transact(database, (tx) => openSession(tx, { customerId, now }))
  ctx.cookies.set(sessionCookie, `${secret}.${seals.sign(['dashboard session', secret], customerId)}`, options)
  ctx.cookies.set(signInCookie, null, options)
}

export async function endSession(ctx: Context, database: Database, { secret }: DashboardSession): Promise<void> {
  await transact(database, (tx) => closeSession(tx, { secret }))
  ctx.cookies.set(sessionCookie, null, options)
}

/** Whether there may be a session here to end: its cookie does not come with a request that another site begins. */
export const mayBeSignedIn = (ctx: Context): boolean => cookieParts(ctx).length > 0 || ctx.get('Sec-Fetch-Site') === 'cross-site'

/** Whoever's session this browser has with the dashboard: it ends. */
export async function forgetDashboard(ctx: Context, database: Database): Promise<void> {
  const [secret] = cookieParts(ctx)
  if (secret !== undefined) await transact(database, (tx) => closeSession(tx, { secret }))
  ctx.cookies.set(sessionCookie, null, options)
}

const idBytes = 32

/** Names the way of this browser through sign-in, before there is a session. */
export function signInId(ctx: Context, { begin }: { begin: 'never' | 'unless begun' | 'anew' }): string | undefined {
  const known = ctx.cookies.get(signInCookie, { signed: false })
  if (begin === 'never' || (begin === 'unless begun' && known !== undefined)) return known
  const id = randomBytes(idBytes).toString('base64url')
  ctx.cookies.set(signInCookie, id, options)
  return id
}

/** Ties a form to the session and to what it does. What these forms do may be repeated, so the token may be too. */
export const actionToken = (formKeys: readonly string[], { secret }: DashboardSession, action: string): string =>
  keyedSignatures(formKeys).sign(JSON.stringify(['dashboard', secret, action]))

export const isActionToken = (formKeys: readonly string[], { secret }: DashboardSession, action: string, given: string): boolean =>
  keyedSignatures(formKeys).verify(JSON.stringify(['dashboard', secret, action]), given)
