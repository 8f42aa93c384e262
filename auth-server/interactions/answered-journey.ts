import { donePage } from '@bankside/consent-ui/done'
import { refusedPage } from '@bankside/consent-ui/refused'
import { answeredTexts } from '@bankside/consent-ui/situations'
import type { AuthServerDependencies } from '../app.ts'
import { answerPage } from '../http/problem-answer.ts'
import type { Context } from '../http/request-context.ts'
import { commonOf } from '../page-frame.ts'
import { storedSeals } from '../storage/stored-seals.ts'
import { findJourney } from './journey.ts'

/**
 * Somebody comes back to a journey that is over, by the back button say: the page tells how it ended, and nothing happens
 * again. It names neither customer nor third party, because the cookie that tied this browser to the journey is gone.
 *
 * @returns false when there was no such journey, or it ran out before it was answered.
 */
export async function showAnswered(
  ctx: Context,
  { database, config }: Pick<AuthServerDependencies, 'database' | 'config'>,
): Promise<boolean> {
  const interactionUid = ctx.path.split('/')[2] ?? ''
  const state = await findJourney(database, { interactionUid, seals: storedSeals(config.SECRETS.seal_keys) })
  if (state?.step !== 'finished') return false
  const common = commonOf()
  const agreed = state.ended === undefined
  const page = { common, ...answeredTexts({ bankName: common.bankName, agreed }) }
  answerPage(ctx, agreed ? donePage({ ...page, continueHref: '/connected-accounts' }) : refusedPage(page))
  return true
}
