import type { AuthServerDependencies } from '../app.ts'
import { type Form, readForm } from '../http/form.ts'
import type { Context } from '../http/request-context.ts'
import { seeOther } from '../http/see-other.ts'
import { type StoredSeals, storedSeals } from '../storage/stored-seals.ts'
import { signInHref } from './dashboard-pages.ts'
import { type DashboardSession, findSession } from './dashboard-session.ts'

/** A request for a page of the dashboard, by somebody who is signed in there. */
export type SignedInRequest = {
  /** What was posted; absent when a page is asked for. */
  readonly form: Form | undefined
  readonly session: DashboardSession
  readonly formKeys: readonly string[]
  readonly seals: StoredSeals
  readonly now: Date
}

/** @returns undefined when the answer was given already: a form that is none of ours, or nobody is signed in. */
export async function signedInRequest(
  ctx: Context,
  { config, database, clock }: AuthServerDependencies,
): Promise<SignedInRequest | undefined> {
  const form = ctx.method === 'POST' ? await readForm(ctx, config.ISSUER) : undefined
  if (ctx.method === 'POST' && form === undefined) return undefined
  const now = clock.now()
  const seals = storedSeals(config.SECRETS.seal_keys)
  const session = await findSession(ctx, { database, seals }, now)
  if (session !== undefined) return { form, session, formKeys: config.SECRETS.form_keys, seals, now }
  seeOther(ctx, signInHref)
  return undefined
}
