import { Component, type ReactNode } from "react";

interface PageFaultProps {
  /** What is shown, by its address: another may do better. */
  place: string;
  children: ReactNode;
}

interface PageFaultState {
  place: string;
  hasFailed: boolean;
}

/** Keeps the frame when a page cannot be shown: its script did not load (a new version is there), or it has a bug. */
export class PageFault extends Component<PageFaultProps, PageFaultState> {
  override state: PageFaultState = { place: this.props.place, hasFailed: false };

  static getDerivedStateFromError(): Partial<PageFaultState> {
    return { hasFailed: true };
  }

  static getDerivedStateFromProps({ place }: PageFaultProps, state: PageFaultState): PageFaultState | null {
    return place === state.place ? null : { place, hasFailed: false };
  }

  override render(): ReactNode {
    if (!this.state.hasFailed) return this.props.children;
    return (
      <div className="notice" role="alert">
        <h1>This page could not be shown</h1>
        <p>
          Tocsin may have been updated, or the connection was lost while the page was loading.{" "}
          <button type="button" className="link-button" onClick={() => location.reload()}>
            Load it again
          </button>
        </p>
      </div>
    );
  }
}
