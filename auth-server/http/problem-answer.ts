import { problemPage } from '@bankside/consent-ui/problem'
import type { Html } from '@bankside/service-kit/html'
import { commonOf } from '../common-view.ts'
import type { Context } from './request-context.ts'

export type Problem = {
  readonly status: number
  readonly title: string
  readonly whatHappened: string
  readonly whatToDo: string
  readonly didMoneyMove?: string
}

/** Bad news for a person: what happened, whether money moved, what to do (CX-17). Nothing of ours inside. */
export function answerProblem(
  ctx: Context,
  problem: Problem,
  third: { readonly name?: string | undefined; readonly backHref?: string } = {},
): void {
  const { status, ...texts } = problem
  answerPage(
    ctx,
    problemPage({
      common: commonOf(third.name),
      didMoneyMove: 'No money has moved and nothing was shared.',
      ...texts,
      reference: ctx.state.requestId,
      ...(third.backHref !== undefined && { backHref: third.backHref }),
    }),
    status,
  )
}

export function answerPage(ctx: Context, page: Html, status = 200): void {
  ctx.status = status
  ctx.type = 'html'
  ctx.set('Cache-Control', 'no-store')
  ctx.body = String(page)
}

const startAgain = 'Go back to the company you came from and start again.'

/** Problems that belong to no journey. */
export const problems = {
  notFound: {
    status: 404,
    title: 'There is no such page',
    whatHappened: 'The address does not lead anywhere here.',
    whatToDo: 'Check the address, or go back to where you came from.',
  },
  notAllowed: {
    status: 405,
    title: 'This page cannot be used like this',
    whatHappened: 'Your browser asked for this page in a way it does not understand.',
    whatToDo: startAgain,
  },
  brokenRequest: {
    status: 400,
    title: 'This link does not work',
    whatHappened: 'The company that sent you here made a mistake in its request, or the link was used before.',
    whatToDo: startAgain,
  },
  tooLarge: {
    status: 413,
    title: 'Too much at once',
    whatHappened: 'Your browser sent more than this page takes.',
    whatToDo: startAgain,
  },
  ended: {
    status: 400,
    title: 'Your session has ended',
    whatHappened: 'For your safety we end a session after five minutes without activity. It may also have been finished in another window.',
    whatToDo: startAgain,
  },
  oldPage: {
    status: 409,
    title: 'This page was used already',
    whatHappened: 'You sent a page that you had sent before, or that another page has replaced.',
    whatToDo: 'Do not use the back button of your browser here. Open the current page again to go on.',
  },
  foreignForm: {
    status: 403,
    title: 'We did not accept this',
    whatHappened: 'What your browser sent did not come from a page of ours.',
    whatToDo: startAgain,
  },
  unavailable: {
    status: 503,
    title: 'We cannot do this just now',
    whatHappened: 'Something we need does not answer at the moment.',
    whatToDo: 'Wait a moment and load this page again.',
  },
  fault: {
    status: 500,
    title: 'Something went wrong here',
    whatHappened: 'We made a mistake. We have been told about it.',
    whatToDo: 'Try again later. If it happens again, contact us and quote the reference.',
  },
} as const satisfies Record<string, Problem>
