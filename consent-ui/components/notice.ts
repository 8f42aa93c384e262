import { type Html, html } from '@bankside/service-kit/html'
import { withoutDirectionControls } from './name.ts'

/** A calm remark that stands out from the text around it. */
export function notice(content: Html | string): Html {
  return html`<p class="notice">${content}</p>`
}

/** Something that has just happened, announced by screen readers without taking the focus (WCAG SC 4.1.3). */
export function announcement(message: string): Html {
  return html`<p class="announcement" role="status">${withoutDirectionControls(message)}</p>`
}
