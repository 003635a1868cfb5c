//! The seam: the platform on a real kube-apiserver and etcd, through `pilotis serve`.
//!
//! No node runs there, so a delivery goes as far as the build, where the operator is told.

use anyhow::Result;
use pilotis_testkit::ControlPlane;

use crate::git::push;
use crate::instance::Instance;

#[tokio::test(flavor = "multi_thread")]
async fn the_platform_runs_on_a_real_kubernetes() -> Result<()> {
    let plane = ControlPlane::start().await?;
    let instance = Instance::serve(&plane.kubeconfig())?;
    instance.pilotis(&["project", "create", "bonjour", "--environment", "dev"])?;
    let label = "jsonpath={.metadata.labels.pilotis\\.dev/policy}";
    assert_eq!(
        plane.kubectl(&["get", "ns", "bonjour-dev", "-o", label])?,
        "enforce"
    );

    instance.pilotis(&["repository", "create", "bonjour", "--project", "bonjour"])?;
    let delivery = push(&instance, "Dire bonjour à tous", &["bonjour"])?;
    let watch = [
        "deliver",
        "watch",
        &delivery,
        "--project",
        "bonjour",
        "--timeout",
        "120",
    ];
    let output = instance.try_pilotis(&watch)?;
    let text = String::from_utf8_lossy(&output.stdout);
    assert_eq!(output.status.code(), Some(1), "{text}");
    assert!(text.contains("inspect   passed"), "{text}");
    assert!(
        text.contains("BLOCKED at build") && text.contains("operator"),
        "{text}"
    );

    let counted = "pilotis_delivery_gates_total{gate=\"build\",outcome=\"failed\"} 1";
    let metrics = instance.scrape()?;
    assert!(metrics.contains(counted), "{counted} is not in\n{metrics}");

    crate::trust::only_the_chain_reads_the_signing_key(&|words| plane.kubectl(words))?;

    // An unsigned image is refused there too.
    let pod = [
        "run",
        "x",
        "-n",
        "bonjour-dev",
        "--image=registry.pilotis.internal/base/x:latest",
    ];
    let refused = plane
        .kubectl(&pod)
        .expect_err("an image without digest was admitted");
    assert!(refused.to_string().contains("digest"), "{refused}");
    Ok(())
}

#[test]
fn a_chart_renders_as_the_real_helm_renders_it() -> Result<()> {
    let chart = crate::git::examples("bonjour").join("chart");
    let values = chart.join("values-prod.yaml");
    let render = |program: std::path::PathBuf, words: &[&str]| -> Result<String> {
        let output = std::process::Command::new(program)
            .args(words)
            .arg("bonjour")
            .arg(&chart)
            .arg("-f")
            .arg(&values)
            .output()?;
        assert!(
            output.status.success(),
            "{}",
            String::from_utf8_lossy(&output.stderr)
        );
        Ok(String::from_utf8_lossy(&output.stdout).into_owned())
    };
    let helm = render(pilotis_testkit::judge("helm"), &["template"])?;
    let ours = render(pilotis_testkit::pilotis_binary()?, &["chart", "template"])?;
    assert_eq!(ours, helm);
    Ok(())
}
