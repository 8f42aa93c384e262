import type { Html } from '@bankside/service-kit/html'
import { type Outcome, outcomePage } from './components/outcome.ts'

export type Done = Outcome

/** What the customer wanted has happened. */
export function donePage(page: Done): Html {
  return outcomePage(page, 'done')
}
