import type { Html } from '@bankside/service-kit/html'
import { type Outcome, outcomePage } from './components/outcome.ts'

export type Refused = Outcome

/** The customer said no, or the bank did, and nothing was shared or paid. */
export function refusedPage(page: Refused): Html {
  return outcomePage(page, 'refused')
}
