import { proveToViewer } from '@bankside/bank/audit/prove-to-viewer'
import { getCustomerConsent } from '@bankside/bank/consents/list-customer-consents'
import { paymentMadeUnder } from '@bankside/bank/payments/payment-made-under'
import { refusalOf, refuse } from '@bankside/bank/refusal'
import { type Database, transact } from '@bankside/service-kit/postgres'
import { answerProblem, problems } from '../http/problem-answer.ts'
import type { Context } from '../http/request-context.ts'
import { type DashboardVisit, overviewHref } from './dashboard-pages.ts'

const askAgainSeconds = 10

/** GET …/proof: what was agreed to and booked, as a file for the customer to keep and to give to whom they like. */
export async function answerProof(ctx: Context, { session, consentId, now }: DashboardVisit, database: Database): Promise<void> {
  try {
    const proof = await transact(database, async (tx) => {
      const { consent } = await getCustomerConsent(tx, { consentId, ...session, now })
      const paymentId = await paymentMadeUnder(tx, consent.id, session.customerId)
      if (paymentId === undefined) refuse('payment_not_found', 'nothing was paid under this consent')
      return proveToViewer(tx, { paymentId, audience: 'customer' })
    })
    ctx.status = 200
    ctx.type = 'json'
    ctx.set('Cache-Control', 'no-store')
    ctx.set('Content-Disposition', `attachment; filename="${proof.payment_id}.proof.json"`)
    ctx.body = `${JSON.stringify(proof, undefined, 2)}\n`
  } catch (error) {
    const backHref = `${overviewHref}/${consentId}`
    const code = refusalOf(error)?.code
    if (code === 'payment_archived') return answerProblem(ctx, problems.proofArchived, { backHref })
    if (code !== 'payment_not_sealed') throw error
    ctx.set('Retry-After', String(askAgainSeconds))
    answerProblem(ctx, problems.proofNotReady, { backHref })
  }
}
